from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from pydantic import Field
from torch import Tensor, nn

from specnorm.errors import ConfigurationError, DataError
from specnorm.normalization.base import Normalizer, Options, fit, kind_named, options_of
from specnorm.normalization.identity import Identity
from specnorm.normalization.standardize import Channel, Global
from specnorm.statistics.moments import Moments


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
        type("Global", (Global,), {"kind": "global", "__module__": "elsewhere", "__qualname__": "Global"})
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
    class OneWay(Identity):
        kind = "one_way"
        inverse = Normalizer.inverse

        def forward(self, x: Tensor) -> Tensor:
            return x.abs()

    with pytest.raises(NotImplementedError, match="normaliser one_way has no inverse"):
        OneWay(9).inverse(None)  # type: ignore[arg-type]


def test_a_normaliser_without_a_forward_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Normalizer(9)  # type: ignore[abstract]


class _Floored(Options):
    floor_db: Annotated[float, Field(ge=-200, le=0)] = -80.0
    frames: int = 1


class TestOptions:
    """A mode's own fields are as strict as all other parameters."""

    @pytest.fixture
    def kind(self) -> type[Normalizer]:
        class Floored(Identity):
            kind = "floored"
            options_type = _Floored

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


def test_every_kind_declares_what_it_is_and_says_what_it_does(own_kinds: dict[str, type[Normalizer]]) -> None:
    for name, kind in own_kinds.items():
        assert kind.version >= 1
        assert kind.cost >= 0
        assert re.fullmatch("[a-z]+", kind.family)
        assert kind.fitted_on in ("bins", "moments")
        assert re.fullmatch(r"[A-Z].+[a-z]\.", kind.sentence()), name
    assert len({kind.sentence() for kind in own_kinds.values()}) == len(own_kinds)


def test_the_costs_order_the_kinds_from_the_simplest_on() -> None:
    assert sorted((Channel, Identity, Global), key=lambda kind: kind.cost) == [Identity, Global, Channel]
    assert (Identity.family, Global.family, Channel.family) == ("identity", "fitted", "fitted")


@pytest.mark.parametrize("name", ["version", "cost", "family"])
def test_a_kind_that_does_not_declare_itself_cannot_be_made(name: str) -> None:
    declared: dict[str, Any] = {"kind": "silent", "version": 1, "cost": 1, "family": "clip"}
    del declared[name]
    with pytest.raises(TypeError, match=f"the normaliser silent does not declare its {name}$"):
        type("Silent", (Normalizer,), declared)


def moments(bins: int = 9) -> Moments:
    values = np.random.default_rng(0).normal(-40, 10, (bins, 50))
    return Moments.of(values, floor_db=-100.0)


class TestFit:
    """One entry for every source of statistics."""

    @pytest.mark.parametrize("name", ["identity", "global", "channel"])
    def test_moments_and_what_has_them_give_the_same(self, name: str) -> None:
        kind, of = kind_named(name), moments()
        ways = [kind.fit(of), kind.fit(SimpleNamespace(moments=of)), fit(name, of)]
        for found in ways:
            assert type(found) is kind
            assert found.bins == 9
            assert found.options == Options()
            assert found.state_dict().keys() == ways[0].state_dict().keys()
            assert all(torch.equal(value, ways[0].state_dict()[key]) for key, value in found.state_dict().items())

    def test_a_number_of_bins_is_enough_where_nothing_more_is_taken(self) -> None:
        assert fit("identity", 201).bins == 201
        with pytest.raises(
            ConfigurationError,
            match=r"in normaliser channel: expected statistics, moments, a file of them, got 201 \(int\)",
        ):
            fit("channel", 201)

    @pytest.mark.parametrize("source", [None, True, 0, -1, 2.0, [1], torch.zeros(3), SimpleNamespace(moments=3)])
    @pytest.mark.parametrize("name", ["identity", "global"])
    def test_what_tells_nothing_is_refused(self, name: str, source: Any) -> None:
        with pytest.raises(ConfigurationError, match=f"nothing to fit to in normaliser {name}"):
            fit(name, source)

    def test_an_unknown_kind(self) -> None:
        with pytest.raises(ConfigurationError, match=r"expected one of channel, global, identity.*, got chanel"):
            fit("chanel", moments())

    def test_an_unknown_option(self) -> None:
        with pytest.raises(ConfigurationError, match=r"unknown parameter channel\.floor_db\. Remove it"):
            Channel.fit(moments(), floor_db=1.0)

    def test_options_reach_the_kind(self) -> None:
        class Floored(Identity):
            kind = "floored"
            options_type = _Floored

        assert Floored.fit(9, frames=3).options == _Floored(frames=3)
        assert Floored(9).options == _Floored()
        with pytest.raises(ConfigurationError, match=r"bad parameter floored\.frames: expected a valid integer"):
            Floored.fit(9, frames="3")

    @pytest.mark.parametrize("kind", [Global, Channel])
    def test_empty_moments(self, kind: type[Normalizer]) -> None:
        # Guards: a normaliser of mean 0 and deviation 1, in silence.
        expected = (
            f"empty statistics in normaliser {kind.kind}: expected values of every frequency bin, got none of 9 of 9"
        )
        with pytest.raises(DataError, match=expected):
            kind.fit(Moments.empty(9))
        with pytest.raises(DataError, match="empty statistics"):
            kind.fit(Moments.empty(0))

    @pytest.mark.parametrize("kind", [Global, Channel])
    @pytest.mark.parametrize(("name", "value"), [("mean", np.nan), ("mean", np.inf), ("m2", np.nan), ("m2", -1.0)])
    def test_moments_of_no_values(self, kind: type[Normalizer], name: str, value: float) -> None:
        bad = moments()
        getattr(bad, name)[4] = value
        with pytest.raises(DataError, match=rf"impossible statistics in normaliser {kind.kind}: .* of bin 4$"):
            kind.fit(bad)

    def test_identity_takes_the_bins_of_moments_that_are_empty(self) -> None:
        assert Identity.fit(Moments.empty(7)).bins == 7

    def test_a_kind_that_forgets_to_take_its_moments_says_so(self) -> None:
        class Forgetful(Identity):
            kind = "forgetful"
            fitted_on = "moments"

        with pytest.raises(NotImplementedError, match="normaliser forgetful is not fitted on moments"):
            Forgetful.fit(moments())


class TestAsAModule:
    """A normaliser is a module as any other: it can be stored, copied, moved, exported."""

    @pytest.fixture(params=["identity", "global", "channel"])
    def norm(self, request: pytest.FixtureRequest) -> Normalizer:
        return fit(request.param, moments())

    @pytest.fixture
    def x(self) -> Tensor:
        return torch.randn(4, 1, 9, 6, generator=torch.Generator().manual_seed(0)) * 20 - 60

    def test_an_unfitted_one_takes_the_state(self, norm: Normalizer, x: Tensor, tmp_path: Path) -> None:
        torch.save(norm.state_dict(), tmp_path / "norm.pt")
        fresh = type(norm)(9)
        fresh.load_state_dict(torch.load(tmp_path / "norm.pt", weights_only=True))
        assert torch.equal(fresh(x), norm(x))

    def test_copies_are_equal_and_of_their_own(self, norm: Normalizer, x: Tensor) -> None:
        for other in (copy.deepcopy(norm), pickle.loads(pickle.dumps(norm))):
            assert torch.equal(other(x), norm(x))
            assert torch.equal(other.inverse(x), norm.inverse(x))
            assert other.options == norm.options
            before = copy.deepcopy(norm.state_dict())
            for buffer in other.buffers():
                buffer.add_(1)
            assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())

    def test_it_stands_before_a_network(self, norm: Normalizer, x: Tensor) -> None:
        network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 7 * 4, 3))
        model = nn.Sequential(norm, network)
        assert torch.equal(model(x), network(norm(x)))
        model(x).sum().backward()
        assert len(list(model.parameters())) == 4
        assert {name for name in model.state_dict() if name.startswith("0.")} == {f"0.{n}" for n in norm.state_dict()}

    def test_it_is_exported_for_batches_of_any_size(self, norm: Normalizer, x: Tensor) -> None:
        exported = torch.export.export(norm, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        for clips in (x, x[:1], torch.cat([x, x, x])):
            assert torch.equal(exported.module()(clips), norm(clips))

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
    def test_another_float_type(self, norm: Normalizer, x: Tensor, dtype: torch.dtype) -> None:
        found = norm.to(dtype)(x.to(dtype))
        assert found.dtype == dtype
        # Levels of 100 dB are rounded by half a unit of the type's last place before and after the subtraction.
        torch.testing.assert_close(found.float(), norm.float()(x), rtol=0.02, atol=100 * torch.finfo(dtype).eps)

    def test_autocast_leaves_it_in_float32(self, norm: Normalizer, x: Tensor) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(norm(x), norm(x.clone()))
            assert norm(x).dtype == torch.float32

    def test_a_shape_without_data_goes_through(self, norm: Normalizer) -> None:
        found = norm.to("meta")(torch.empty(4, 1, 9, 6, device="meta"))
        assert found.shape == (4, 1, 9, 6)
        assert found.device.type == "meta"
