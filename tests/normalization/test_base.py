from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field
from torch import Tensor

from specnorm.errors import ConfigurationError
from specnorm.normalization.base import Normalizer, Options, kind_named, options_of
from specnorm.normalization.identity import Identity
from specnorm.normalization.standardize import Channel, Global


def test_every_module_of_the_package_is_registered() -> None:
    assert kind_named("identity") is Identity
    assert kind_named("global") is Global
    assert kind_named("channel") is Channel


def test_an_unknown_kind_lists_those_there_are(own_kinds: dict[str, type[Normalizer]]) -> None:
    with pytest.raises(
        ConfigurationError, match=r"unknown kind of normaliser: expected one of (.+), got chanel$"
    ) as caught:
        kind_named("chanel")
    for kind in own_kinds:
        assert kind in str(caught.value)


def test_a_kind_is_registered_once() -> None:
    with pytest.raises(TypeError, match=r"two normalisers of kind global.*Global.*Other"):

        class Other(Global):
            kind = "global"

    assert kind_named("global") is Global


def test_a_class_of_the_same_name_elsewhere_is_another_one() -> None:
    # Guards: it was ignored in silence, and its mode ran the first class's code.
    with pytest.raises(TypeError, match="two normalisers of kind global"):
        type("Global", (Normalizer,), {"kind": "global", "__module__": "elsewhere", "__qualname__": "Global"})
    assert kind_named("global") is Global


def test_a_module_imported_anew_replaces_its_class() -> None:
    again = type("Global", (Global,), {"kind": "global", "__module__": Global.__module__, "__qualname__": "Global"})
    assert kind_named("global") is again


def test_a_base_without_a_kind_is_not_registered(own_kinds: dict[str, type[Normalizer]]) -> None:
    before = dict(own_kinds)

    class Between(Normalizer):
        pass

    # Guards: it inherited the kind and was refused as a second one.
    class Narrower(Channel):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) / 2

    assert own_kinds == before

    class Named(Narrower):
        kind = "narrower"

    assert kind_named("narrower") is Named


def test_a_normaliser_without_an_inverse_says_so() -> None:
    class OneWay(Normalizer):
        kind = "one_way"

        def forward(self, x: Tensor) -> Tensor:
            return x.abs()

    with pytest.raises(NotImplementedError, match="normaliser one_way has no inverse"):
        OneWay(Options(), 9).inverse(None)  # type: ignore[arg-type]


def test_a_normaliser_without_a_forward_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Normalizer(Options(), 9)  # type: ignore[abstract]


class _Floored(Options):
    floor_db: Annotated[float, Field(ge=-200, le=0)] = -80.0
    frames: int = 1


class TestOptions:
    """A mode's own fields are as strict as all other parameters."""

    @pytest.fixture
    def kind(self) -> type[Normalizer]:
        class Floored(Normalizer):
            kind = "floored"
            options_type = _Floored

            def forward(self, x: Tensor) -> Tensor:
                return x

        return Floored

    def test_defaults_and_values(self, kind: type[Normalizer]) -> None:
        assert options_of(kind, {}, where="norm.f") == _Floored()
        assert options_of(kind, {"floor_db": -60.5, "frames": 3}, where="norm.f") == _Floored(floor_db=-60.5, frames=3)

    def test_a_kind_without_options_refuses_any(self) -> None:
        with pytest.raises(ConfigurationError, match=r"unknown parameter norm\.g\.shape\. Remove it"):
            options_of(Global, {"shape": 1}, where="norm.g")

    def test_an_unknown_one(self, kind: type[Normalizer]) -> None:
        with pytest.raises(ConfigurationError, match=r"unknown parameter norm\.f\.florr_d\. Did you mean floor_db\?"):
            options_of(kind, {"florr_d": -60.0}, where="norm.f")

    @pytest.mark.parametrize(
        ("values", "match"),
        [
            ({"floor_db": "-60"}, r"bad parameter norm\.f\.floor_db: expected a valid number, got '-60' \(str\)"),
            ({"floor_db": 3.0}, r"bad parameter norm\.f\.floor_db: expected at most 0, got 3\.0"),
            ({"frames": 1.0}, r"bad parameter norm\.f\.frames: expected a valid integer, got 1\.0 \(float\)"),
            ({"frames": True}, r"bad parameter norm\.f\.frames"),
        ],
    )
    def test_a_wrong_one(self, kind: type[Normalizer], values: dict[str, object], match: str) -> None:
        with pytest.raises(ConfigurationError, match=match):
            options_of(kind, values, where="norm.f")


def test_the_key_of_an_unknown_kind_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"in norm\.mine\.kind: expected one of channel, global, identity"):
        kind_named("chanel", where="norm.mine.kind")
