from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn

from specnorm.errors import ConfigurationError, IntegrityError
from specnorm.normalization import fitted
from specnorm.normalization.base import Normalizer, Options, kind_named
from specnorm.normalization.standardize import Channel
from specnorm.params import NormParams
from specnorm.shards.store import Shards
from specnorm.statistics import training_set
from specnorm.statistics.moments import Moments
from specnorm.statistics.training_set import TrainingStatistics
from tests.builders import edit, fit_statistics


def params(kind: str, waveform: str = "raw", **options: Any) -> NormParams:
    return NormParams.model_validate({"kind": kind, "waveform": waveform, **options})


@pytest.fixture(scope="module")
def statistics(shards: Shards) -> TrainingStatistics:
    return fit_statistics(shards, 1)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 1, 9, 6, generator=torch.Generator().manual_seed(0)) * 20 - 60


@pytest.mark.parametrize("kind", ["identity", "global", "channel"])
def test_a_fitted_mode_comes_back_exactly(tmp_path: Path, statistics: TrainingStatistics, x: Tensor, kind: str) -> None:
    mode = fitted.fit("m", params(kind), statistics)
    fitted.write(mode, tmp_path / "m.json")
    read = fitted.read(tmp_path / "m.json")
    assert read == mode
    direct = kind_named(kind).fit(statistics)
    built = read.build()
    assert type(built) is type(direct)
    assert built.state_dict().keys() == direct.state_dict().keys()
    for name, value in direct.state_dict().items():
        assert torch.equal(built.state_dict()[name], value)
        assert built.state_dict()[name].dtype == value.dtype
    assert torch.equal(built(x), direct(x))
    fitted.write(read, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "m.json").read_bytes()


def test_the_file_says_where_it_comes_from(tmp_path: Path, statistics: TrainingStatistics) -> None:
    fitted.write(fitted.fit("mine", params("channel"), statistics), tmp_path / "m.json")
    stored = json.loads((tmp_path / "m.json").read_text())
    assert (stored["mode"], stored["kind"], stored["waveform"], stored["bins"]) == ("mine", "channel", "raw", 9)
    assert stored["version"] == Channel.version
    training_set.write(statistics, tmp_path / "s.json")
    assert stored["statistics"] == json.loads((tmp_path / "s.json").read_text())["seal"] == statistics.digest
    assert fitted.read(tmp_path / "m.json").provenance == statistics.provenance


def test_a_kind_that_takes_nothing_from_the_statistics_does_not_depend_on_them(tmp_path: Path, shards: Shards) -> None:
    one, other = (fitted.fit("none", params("identity"), fit_statistics(shards, fold)) for fold in (1, 2))
    assert one == other
    assert one.provenance is one.statistics is None


def test_building_twice_gives_two_modules(statistics: TrainingStatistics, x: Tensor) -> None:
    mode = fitted.fit("m", params("channel"), statistics)
    one, other = mode.build(), mode.build()
    one.get_buffer("mean").zero_()
    assert not torch.equal(one(x), other(x))


def test_statistics_of_another_waveform_variant(statistics: TrainingStatistics) -> None:
    with pytest.raises(IntegrityError, match=r"another waveform variant in norm\.m: expected standardized, got raw"):
        fitted.fit("m", params("global", "standardized"), statistics)


def test_an_unknown_kind(statistics: TrainingStatistics) -> None:
    with pytest.raises(ConfigurationError, match=r"expected one of .*channel.*global.*identity.*got chanel"):
        fitted.fit("m", params("chanel"), statistics)
    with pytest.raises(ConfigurationError, match="got chanel"):
        fitted.check("m", params("chanel"))


def test_an_unknown_option(statistics: TrainingStatistics) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown parameter norm\.m\.floor_db"):
        fitted.fit("m", params("global", floor_db=1.0), statistics)
    with pytest.raises(ConfigurationError, match=r"unknown parameter norm\.m\.floor_db"):
        fitted.check("m", params("global", floor_db=1.0))


class TestFiles:
    """A file that is not what was written is refused."""

    @pytest.fixture
    def path(self, tmp_path: Path, statistics: TrainingStatistics) -> Path:
        fitted.write(fitted.fit("m", params("channel"), statistics), tmp_path / "m.json")
        return tmp_path / "m.json"

    @pytest.mark.case("V9")
    @pytest.mark.parametrize(
        "change",
        [
            lambda stored: stored["state"]["mean"][4].__setitem__(0, stored["state"]["mean"][4][0] + 1e-6),
            lambda stored: stored["state"]["scale"][0].__setitem__(0, 2.0),
            lambda stored: stored["provenance"].update(held_out_fold=2),
            lambda stored: stored.update(mode="other"),
            lambda stored: stored.update(note="by hand"),
            lambda stored: stored.pop("seal"),
            lambda stored: stored["state"]["mean"][4].__setitem__(0, float("nan")),
        ],
    )
    def test_an_edited_value(self, path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
        """A regression: one digit of a mean was trained on, and nobody was told."""
        edit(path, change, sealed=False)
        with pytest.raises(IntegrityError, match=r"changed file in .*m\.json: expected SHA-256 .*, got "):
            fitted.read(path)

    def test_white_space_is_not_an_edit(self, path: Path) -> None:
        before = fitted.read(path)
        edit(path, lambda _: None, sealed=False)
        assert fitted.read(path) == before

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(IntegrityError, match=r"missing file in .*m\.json"):
            fitted.read(tmp_path / "m.json")

    @pytest.mark.case("S6")
    @pytest.mark.parametrize(
        "change",
        [{"provenance": None}, {"statistics": None}, {"waveform": "foo"}, {"kind": "identity", "state": {}}],
    )
    def test_what_cannot_belong_together(self, path: Path, change: dict[str, Any]) -> None:
        """A regression: figures without provenance switched the check of the held-out fold off."""
        edit(path, lambda stored: stored.update(change))
        with pytest.raises(IntegrityError, match=r"damaged normaliser in .*m\.json"):
            fitted.read(path)

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
    def test_cut(self, path: Path, share: float) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(IntegrityError, match="unreadable file"):
            fitted.read(path)

    @pytest.mark.parametrize("stored", ["null", "[]", "3", '"x"', "{}", '{"format": 9}'])
    def test_another_format(self, path: Path, stored: str) -> None:
        path.write_text(stored)
        with pytest.raises(IntegrityError, match=r"wrong normaliser in .*m\.json: expected format 3"):
            fitted.read(path)

    @pytest.mark.parametrize("key", ["mode", "kind", "options", "state", "version", "provenance", "statistics", "bins"])
    def test_a_field_missing(self, path: Path, key: str) -> None:
        edit(path, lambda stored: stored.pop(key))
        with pytest.raises(IntegrityError, match=f"damaged normaliser.*{key}"):
            fitted.read(path)

    def test_a_provenance_of_other_fields(self, path: Path) -> None:
        edit(path, lambda stored: stored["provenance"].pop("seed"))
        with pytest.raises(IntegrityError, match=r"damaged normaliser.*seed"):
            fitted.read(path)

    def test_another_version_of_the_kind_shows_both(self, path: Path) -> None:
        edit(path, lambda stored: stored.update(version=0))
        with pytest.raises(IntegrityError) as caught:
            fitted.read(path)
        assert str(caught.value) == f"another version of the normaliser channel in {path}: expected 1, got 0"
        assert caught.value.where == path

    def test_a_raised_version_refuses_the_files_of_before(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Channel, "version", 2)
        with pytest.raises(IntegrityError, match=r"another version of the normaliser channel .* expected 2, got 1"):
            fitted.read(path)

    def test_the_format_before_versions(self, path: Path) -> None:
        edit(path, lambda stored: stored.update(format=1, code="0" * 64) or stored.pop("version"))
        with pytest.raises(IntegrityError, match=r"wrong normaliser in .*m\.json: expected format 3, got 1"):
            fitted.read(path)

    def test_another_kind_does_not_fit_the_state(self, path: Path) -> None:
        edit(path, lambda stored: stored.update(kind="identity"))
        with pytest.raises(IntegrityError, match="damaged normaliser"):
            fitted.read(path)

    @pytest.mark.parametrize("kind", [None, 3, [], {}])
    def test_a_kind_that_is_no_name(self, path: Path, kind: object) -> None:
        edit(path, lambda stored: stored.update(kind=kind))
        with pytest.raises(IntegrityError, match="damaged normaliser"):
            fitted.read(path)

    def test_a_kind_that_no_longer_exists(self, path: Path) -> None:
        edit(path, lambda stored: stored.update(kind="pcen"))
        with pytest.raises(ConfigurationError, match=r"unknown kind of normaliser in .*m\.json.*got pcen"):
            fitted.read(path)

    @pytest.mark.parametrize(
        "state",
        [
            {},
            {"mean": [[0.0]] * 9},
            {"mean": [[0.0]] * 9, "scale": [[1.0]] * 8},
            {"mean": [[0.0]] * 9, "scale": [[1.0]] * 9, "more": 1.0},
            {"mean": [[0.0]] * 9, "scale": [[1.0]] * 8 + [[1.0, 2.0]]},
            {"mean": [[0.0]] * 9, "scale": "one"},
            {"mean": [[0.0]] * 9, "scale": None},
            {"mean": [[1e300]] * 9, "scale": [[1.0]] * 9},
            {"mean": [[10**400]] * 9, "scale": [[1.0]] * 9},
            [],
            None,
        ],
    )
    def test_a_state_that_does_not_fit(self, path: Path, state: object) -> None:
        edit(path, lambda stored: stored.update(state=state))
        with pytest.raises(IntegrityError, match=r"damaged normaliser in .*m\.json: got ") as caught:
            fitted.read(path)
        assert caught.value.where == path

    @pytest.mark.parametrize("bins", [0, -1])
    def test_bins_that_no_spectrogram_has(self, tmp_path: Path, statistics: TrainingStatistics, bins: int) -> None:
        """Of a kind whose state has one value for all bins, and says nothing of their number."""
        path = tmp_path / "global.json"
        fitted.write(fitted.fit("m", params("global"), statistics), path)
        edit(path, lambda stored: stored.update(bins=bins))
        with pytest.raises(IntegrityError, match=r"damaged normaliser in .*global\.json: got bins: "):
            fitted.read(path)

    @pytest.mark.parametrize("bins", [8, -1, "9", None, 9.5])
    def test_bins_that_do_not_fit(self, path: Path, bins: object) -> None:
        edit(path, lambda stored: stored.update(bins=bins))
        with pytest.raises(IntegrityError, match=r"damaged normaliser in .*m\.json"):
            fitted.read(path)

    @pytest.mark.parametrize("options", [{"more": 1}, [], None])
    def test_options_that_do_not_fit(self, path: Path, options: object) -> None:
        edit(path, lambda stored: stored.update(options=options))
        with pytest.raises(IntegrityError, match=r"damaged normaliser in .*m\.json: got .*(option|parameter)"):
            fitted.read(path)

    def test_a_mode_made_by_hand_is_checked_when_it_is_built(self, path: Path) -> None:
        with pytest.raises(IntegrityError, match=r"damaged normaliser in mode m: got "):
            replace(fitted.read(path), bins=8).build()


class _GainOptions(Options):
    start: Annotated[float, Field(gt=0)] = 1.0


def learned_gain() -> type[Normalizer]:
    """A kind with a trainable parameter that starts from the training statistics."""

    class LearnedGain(Normalizer):
        """Multiplies every frequency bin by a gain that training changes."""

        kind = "learned_gain"
        version = 1
        fitted_on = "moments"
        cost = 50
        family = "learned"
        options_type = _GainOptions

        def __init__(self, bins: int, options: Options | None = None) -> None:
            super().__init__(bins, options)
            assert isinstance(self.options, _GainOptions)
            self.gain = nn.Parameter(torch.full((bins, 1), self.options.start))
            self.register_buffer("steps", torch.zeros(()))

        def adapt(self, moments: Moments) -> None:
            with torch.no_grad():
                self.gain /= torch.from_numpy(moments.deviation)[:, None]

        def forward(self, x: Tensor) -> Tensor:
            return x * self.gain

        def inverse(self, x: Tensor) -> Tensor:
            return x / self.gain

    return LearnedGain


def per_clip() -> type[Normalizer]:
    """A kind that takes each clip by itself and nothing from the statistics."""

    class PerClip(Normalizer):
        """Takes every clip by its own mean and deviation."""

        kind = "per_clip"
        version = 1
        cost = 10
        family = "clip"

        def forward(self, x: Tensor) -> Tensor:
            deviation, mean = torch.std_mean(x, dim=(-3, -2, -1), keepdim=True, correction=0)
            return (x - mean) / deviation.clamp(min=1e-5)

    return PerClip


class TestKindsOfOnesOwn:
    """A new kind is one class: everything else works as it is."""

    def test_one_with_a_trainable_parameter(self, tmp_path: Path, statistics: TrainingStatistics, x: Tensor) -> None:
        kind = learned_gain()
        mode = fitted.fit("gain", params("learned_gain", start=2.0), statistics)
        assert mode.options == {"start": 2.0}
        assert mode.provenance == statistics.provenance
        fitted.write(mode, tmp_path / "gain.json")
        built = fitted.read(tmp_path / "gain.json").build()
        assert type(built) is kind
        [gain] = built.parameters()
        assert gain.requires_grad
        expected = 2 / torch.from_numpy(statistics.bins.deviation)[:, None]
        torch.testing.assert_close(gain.detach(), expected.float(), rtol=1e-6, atol=0)  # float32 after float64
        built(x).sum().backward()
        assert gain.grad is not None
        torch.testing.assert_close(built.inverse(built(x)).detach(), x, rtol=1e-6, atol=0)

    def test_one_a_clip(self, tmp_path: Path, shards: Shards, x: Tensor) -> None:
        kind = per_clip()
        mode = fitted.fit("clip", params("per_clip"), fit_statistics(shards, 1))
        assert mode == fitted.fit("clip", params("per_clip"), fit_statistics(shards, 2))
        assert mode.state == {}
        fitted.write(mode, tmp_path / "clip.json")
        built = fitted.read(tmp_path / "clip.json").build()
        assert type(built) is kind
        assert torch.equal(built(x)[:1], built(x[:1]))
        with pytest.raises(NotImplementedError):
            built.inverse(x)

    @pytest.mark.case("S11")
    @pytest.mark.parametrize("clip", [torch.full((1, 9, 6), -100.0), torch.zeros(1, 9, 1), torch.zeros(1, 1, 1)])
    def test_one_a_clip_of_constants_or_of_one_frame(self, clip: Tensor) -> None:
        assert (per_clip()(9)(clip) == 0).all()

    def test_its_options_are_checked(self, statistics: TrainingStatistics) -> None:
        learned_gain()
        with pytest.raises(ConfigurationError, match=r"unknown parameter norm\.gain\.strat\. Did you mean start\?"):
            fitted.fit("gain", params("learned_gain", strat=2.0), statistics)
        with pytest.raises(ConfigurationError, match=r"bad parameter norm\.gain\.start: expected more than 0"):
            fitted.fit("gain", params("learned_gain", start=-2.0), statistics)

    def test_a_state_that_is_not_a_number_is_not_written(self, tmp_path: Path, statistics: TrainingStatistics) -> None:
        mode = replace(fitted.fit("m", params("global"), statistics), state={"mean": [[float("nan")]]})
        with pytest.raises(ValueError, match="JSON compliant"):
            fitted.write(mode, tmp_path / "m.json")
        assert not list(tmp_path.iterdir())
