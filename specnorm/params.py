"""The one door for parameters: ``params.yaml`` becomes frozen, typed objects here or is refused by name."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from specnorm.errors import ConfigurationError

Waveform = Literal["raw", "standardized"]
WAVEFORMS: tuple[Waveform, ...] = get_args(Waveform)

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*$")]
_Seed = Annotated[int, Field(ge=0, lt=2**31)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class EscParams(_Strict):
    """ESC-50, or any archive or folder in its layout."""

    kind: Literal["esc50"]
    subset: Literal["all", "esc10"]
    source: str | None  # a zip or a folder on this machine; null downloads `url`
    complete: bool  # hold the published counts to be true; false accepts a cut
    url: str
    size: Annotated[int, Field(gt=0)] | None  # bytes; null where the host promises none
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class CsvParams(_Strict):
    """A folder or a zip of audio files with a CSV that labels them."""

    kind: Literal["csv"]
    source: Annotated[str, Field(min_length=1)]
    table: str  # the CSV's path inside the source
    audio: str  # the folder inside the source that file names are relative to
    filename_column: str
    label_column: str
    fold_column: str | None  # null: folds are made
    group_column: str | None  # clips of one group stay in one fold; null: every clip is its own group
    folds: Annotated[int, Field(ge=2, le=100)]  # how many to make
    seed: _Seed


class SyntheticParams(_Strict):
    """A generated data set of ten physically distinct sound classes."""

    kind: Literal["synthetic"]
    sources: Annotated[int, Field(ge=1, le=1000)]  # source recordings a class and fold
    clips: Annotated[int, Field(ge=1, le=100)]  # clips a source recording
    folds: Annotated[int, Field(ge=2, le=100)]
    sample_rate: Annotated[int, Field(ge=8000, le=192000)]  # Hz
    clip_seconds: Annotated[float, Field(ge=0.25, le=60)]
    seed: _Seed


DatasetParams = Annotated[EscParams | CsvParams | SyntheticParams, Field(discriminator="kind")]


class _FrontEndParams(_Strict):
    sample_rate: Annotated[int, Field(ge=1000, le=192000)]  # Hz, after resampling
    resampler: Literal["polyphase", "sinc"]
    clip_seconds: Annotated[float, Field(gt=0, le=600)]  # clips are cut or padded with zeros to this
    n_fft: Annotated[int, Field(ge=2, le=65536)]  # samples
    win_length: Annotated[int, Field(ge=1, le=65536)]  # samples
    hop_length: Annotated[int, Field(ge=1, le=65536)]  # samples
    amin: _Positive  # power; the floor is 10 log10(amin) dB
    top_db: _Positive | None  # dB below a clip's own maximum; null: no clamp

    @property
    def samples(self) -> int:
        """Length of a clip in samples after resampling."""
        return round(self.clip_seconds * self.sample_rate)

    @property
    def frames(self) -> int:
        """Length of a spectrogram in frames (centred frames: one more than the hops)."""
        return self.samples // self.hop_length + 1

    @model_validator(mode="after")
    def _window_fits(self) -> _FrontEndParams:
        if self.win_length > self.n_fft:
            raise ValueError(f"win_length {self.win_length} is longer than n_fft {self.n_fft}")
        if self.samples <= self.n_fft // 2:
            raise ValueError(f"a clip of {self.samples} samples is too short for n_fft {self.n_fft}")
        return self


class LinearParams(_FrontEndParams):
    """A power spectrogram with one bin per FFT frequency."""

    transform: Literal["linear"]

    @property
    def bins(self) -> int:
        """Number of frequency bins."""
        return self.n_fft // 2 + 1


class MelParams(_FrontEndParams):
    """A power spectrogram through a mel filter bank."""

    transform: Literal["mel"]
    n_mels: Annotated[int, Field(ge=1, le=4096)]
    f_min: _NotNegative  # Hz
    f_max: _Positive | None  # Hz; null: half the sample rate
    mel_scale: Literal["htk", "slaney"]
    mel_norm: Literal["slaney"] | None

    @property
    def bins(self) -> int:
        """Number of mel bands."""
        return self.n_mels

    @model_validator(mode="after")
    def _band_exists(self) -> MelParams:
        nyquist = self.sample_rate / 2
        f_max = nyquist if self.f_max is None else self.f_max
        if not self.f_min < f_max <= nyquist:
            raise ValueError(f"f_min {self.f_min} and f_max {f_max} must satisfy f_min < f_max <= {nyquist} Hz")
        return self


SpectrogramParams = Annotated[LinearParams | MelParams, Field(discriminator="transform")]


class StatisticsParams(_Strict):
    """How the training statistics are estimated."""

    fraction: Annotated[float, Field(gt=0, le=1)]  # share of the frames of every clip
    seed: _Seed


class NormParams(BaseModel):
    """One normalisation mode: a kind, its waveform variant, and the kind's own options as extra fields."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    kind: _Name
    waveform: Waveform

    @property
    def options(self) -> dict[str, Any]:
        """The fields that belong to the kind."""
        return dict(self.model_extra or {})


class ProtocolParams(_Strict):
    """Which cells are trained: every held-out fold with every seed."""

    folds: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    seeds: Annotated[list[_Seed], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_repeats(self) -> ProtocolParams:
        for name, values in (("folds", self.folds), ("seeds", self.seeds)):
            if len(set(values)) != len(values):
                raise ValueError(f"{name} {values} holds a value twice")
        return self


class ModelParams(_Strict):
    """The network."""

    name: Literal["xresnet18"]
    stem_init: Literal["published", "he"]


class TrainParams(_Strict):
    """The optimisation of one cell."""

    epochs: Annotated[int, Field(ge=1, le=10000)]
    batch_size: Annotated[int, Field(ge=2, le=65536)]
    learning_rate: _Positive  # the peak of the one-cycle schedule
    weight_decay: _NotNegative
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]
    precision: Literal["auto", "fp32", "bf16"]


class TrackingParams(_Strict):
    """Where results are mirrored in MLflow."""

    experiment: Annotated[str, Field(min_length=1)]
    required: bool  # an unreachable store is an error instead of a warning


class Params(_Strict):
    """All parameters of the pipeline."""

    recipe: str
    dataset: DatasetParams
    spectrogram: SpectrogramParams
    statistics: StatisticsParams
    norm: Annotated[dict[_Name, NormParams], Field(min_length=1)]
    protocol: ProtocolParams
    model: ModelParams
    train: TrainParams
    tracking: TrackingParams


class _NoDuplicates(yaml.SafeLoader):
    """YAML's safe subset; a key that stands twice is an error, and 1e-3 is a number as in YAML 1.2."""


def _mapping(loader: _NoDuplicates, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigurationError("a key stands twice", where=f"line {node.start_mark.line + 1}", got=repr(key))
    return loader.construct_mapping(node, deep=True)


_NoDuplicates.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_NoDuplicates.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:float"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_NoDuplicates.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"),
    list("-+0123456789."),
)


def load(path: Path) -> Params:
    """Read and check a parameter file.

    Raises:
        ConfigurationError: the file is missing or not a mapping, or a value is unknown, missing, of the wrong type or
            out of range; the message names the key.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_NoDuplicates)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError:
        raise ConfigurationError("missing file", where=path, hint="Restore it with `git checkout`") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError("unreadable parameters", where=path, expected="YAML", got=error) from error
    if not isinstance(values, dict):
        raise ConfigurationError("unreadable parameters", where=path, expected="a mapping", got=type(values).__name__)
    return check(values, where=path)


def check(values: dict[str, Any], *, where: object = "parameters") -> Params:
    """Turn a mapping into :class:`Params`; raises as :func:`load` does."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise refusal(error, where=where) from None


def refusal(error: ValidationError, *, where: object) -> ConfigurationError:
    """The first fault of a validation as one line, with the key's path and the nearest known name."""
    details = error.errors()
    # An unknown key says more than the missing one that it was meant to be.
    first = next((item for item in details if item["type"] == "extra_forbidden"), details[0])
    tags = {"esc50", "csv", "synthetic", "linear", "mel"}
    places = [str(part) for part in first["loc"] if part not in tags or part == first["loc"][-1]]
    key = ".".join(places)
    more = f"; {len(details) - 1} more" if len(details) > 1 else ""
    if first["type"] == "extra_forbidden":
        missing = [str(item["loc"][-1]) for item in details if item["type"] == "missing"]
        near = difflib.get_close_matches(places[-1], [*missing, *_known_names()], n=1)
        hint = f"Did you mean {near[0]}?" if near else "Remove it"
        return ConfigurationError(f"unknown parameter {key}", where=where, hint=hint)
    if first["type"] == "missing":
        return ConfigurationError(f"missing parameter {key}", where=where, hint=f"Add it{more}")
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    given = first["input"]
    got = f"{given!r} ({type(given).__name__})" if not isinstance(given, dict | list) else None
    return ConfigurationError(
        f"bad parameter {key}" if key else "bad parameters", where=where, expected=message, got=got
    )


def _known_names() -> list[str]:
    models: list[type[BaseModel]] = [
        Params, EscParams, CsvParams, SyntheticParams, LinearParams, MelParams, StatisticsParams, NormParams,
        ProtocolParams, ModelParams, TrainParams, TrackingParams,
    ]  # fmt: skip
    return [name for model in models for name in model.model_fields]
