"""The one door for parameters: ``params.yaml`` becomes frozen, typed objects here or is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from specnorm.dataset_params import DatasetParams, Section, Seed, folds_of
from specnorm.errors import ConfigurationError
from specnorm.refusal import refusal, relation, sections_of, shown, written

Waveform = Literal["raw", "standardized"]
WAVEFORMS: tuple[Waveform, ...] = get_args(Waveform)

_Name = Annotated[str, written(r"[A-Za-z0-9][A-Za-z0-9_]*", "letters, digits and _, starting with no _")]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _FrontEndParams(Section):
    sample_rate: Annotated[int, Field(ge=1000, le=192000)]  # Hz, after resampling
    resampler: Literal["polyphase", "sinc"]
    clip_seconds: Annotated[float, Field(gt=0, le=600)]  # clips are cut or padded with zeros to this
    # Samples. An odd one loses the last frame, and torchaudio's mel filters take the last bin to be at half the rate.
    n_fft: Annotated[int, Field(ge=2, le=65536, multiple_of=2)]
    win_length: Annotated[int, Field(ge=1, le=65536)]  # samples
    hop_length: Annotated[int, Field(ge=1, le=65536)]  # samples
    # Power: the floor is 10 log10(amin) dB. Within float32's normal numbers, which the spectrogram is computed in.
    amin: Annotated[float, Field(ge=2.0**-126, lt=2.0**128)]
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
            raise relation("win_length", f"at most n_fft, {self.n_fft}", self.win_length)
        if self.samples <= self.n_fft // 2:
            least = f"more than {self.n_fft // 2} samples, half of n_fft"
            raise relation("clip_seconds", least, self.samples)
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
        if f_max > nyquist:
            raise relation("f_max", f"at most half the sample rate, {nyquist:g} Hz", f_max)
        if self.f_min >= f_max:
            raise relation("f_min", f"less than f_max, {f_max:g} Hz", self.f_min)
        return self


SpectrogramParams = Annotated[LinearParams | MelParams, Field(discriminator="transform")]


class StatisticsParams(Section):
    """How the training statistics are estimated."""

    fraction: Annotated[float, Field(gt=0, le=1)]  # share of the frames of every clip
    seed: Seed


class NormParams(BaseModel):
    """One normalisation mode: a kind, its waveform variant, and the kind's own options as extra fields."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    kind: _Name
    waveform: Waveform
    description: Annotated[str | None, Field(min_length=1, exclude=True)] = None  # for people: never recorded

    @property
    def options(self) -> dict[str, Any]:
        """The fields that belong to the kind."""
        return dict(self.model_extra or {})


class ProtocolParams(Section):
    """Which cells are trained: every held-out fold with every seed."""

    folds: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_repeats(self) -> ProtocolParams:
        for name, values in (("folds", self.folds), ("seeds", self.seeds)):
            if len(set(values)) != len(values):
                raise relation(name, "no value twice", values)
        return self


class ModelParams(Section):
    """The network."""

    name: Literal["xresnet18"]
    stem_init: Literal["published", "he"]


class TrainParams(Section):
    """The optimisation of one cell."""

    epochs: Annotated[int, Field(ge=1, le=10000)]
    batch_size: Annotated[int, Field(ge=2, le=65536)]
    learning_rate: _Positive  # the peak of the one-cycle schedule
    weight_decay: _NotNegative
    device: Annotated[str, written(r"auto|cpu|mps|cuda(:[0-9]+)?", "auto, cpu, mps, cuda or cuda:<number>")]
    precision: Literal["auto", "fp32", "bf16"]
    memory_gb: _Positive | None  # the most that a cell's clips may take on the device; null: half of what is free


class CompareParams(Section):
    """How the modes are held against each other."""

    baseline: _Name  # the mode that the others are compared with; the simplest where it is not among them
    # Held-out folds without a clip of some class: a refusal, or a comparison of the scores that then exist.
    incomplete_folds: Literal["refuse", "accept"]


class TrackingParams(Section):
    """Where results are mirrored in MLflow."""

    experiment: Annotated[str, Field(min_length=1)]
    required: bool  # an unreachable store is an error instead of a warning


class Params(Section):
    """All parameters of the pipeline."""

    recipe: str
    dataset: DatasetParams
    spectrogram: SpectrogramParams
    statistics: StatisticsParams
    norm: Annotated[dict[_Name, NormParams], Field(min_length=1)]
    protocol: ProtocolParams
    model: ModelParams
    train: TrainParams
    compare: CompareParams
    tracking: TrackingParams

    @model_validator(mode="after")
    def _folds_exist(self) -> Params:
        folds = folds_of(self.dataset)
        unknown = [fold for fold in self.protocol.folds if folds is not None and fold > folds]
        if unknown:
            raise relation("protocol.folds", f"folds from 1 to {folds}, the data set's", unknown)
        return self


def load(path: Path) -> Params:
    """Read and check a parameter file.

    Raises:
        ConfigurationError: the file is missing or not a mapping, or a value is unknown, missing, of the wrong type or
            out of range; the message names the key.
    """
    from specnorm import strict_yaml  # here, since whoever has parameters already needs no YAML

    values = strict_yaml.read(path)
    if not isinstance(values, dict):
        raise ConfigurationError("unreadable parameters", where=path, expected="a mapping", got=shown(values))
    return check(values, where=path)


def check(values: dict[str, Any], *, where: object = "parameters") -> Params:
    """Turn a mapping into :class:`Params`; raises as :func:`load` does."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise refusal(error, where=where, sections=sections_of(Params)) from None
