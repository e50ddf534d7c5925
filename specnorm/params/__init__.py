"""The one door for parameters: ``params.yaml`` becomes frozen, typed objects here or is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from specnorm.errors import ConfigurationError
from specnorm.params.dataset import DatasetParams, folds_of
from specnorm.params.front_end import LinearParams as LinearParams
from specnorm.params.front_end import MelParams as MelParams
from specnorm.params.front_end import SpectrogramParams as SpectrogramParams
from specnorm.params.front_end import Storage as Storage
from specnorm.params.strict import NotNegative, Positive, Seed, Strict
from specnorm.refusal import refusal, relation, sections_of, shown, written

Waveform = Literal["raw", "standardized"]
WAVEFORMS: tuple[Waveform, ...] = get_args(Waveform)

_Name = Annotated[str, written(r"[A-Za-z0-9][A-Za-z0-9_]*", "letters, digits and _, starting with no _")]


class StatisticsParams(Strict):
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


class ProtocolParams(Strict):
    """Which cells are trained: every held-out fold with every seed."""

    folds: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_repeats(self) -> ProtocolParams:
        for name, values in (("folds", self.folds), ("seeds", self.seeds)):
            if len(set(values)) != len(values):
                raise relation(name, "no value twice", values)
        return self


class ModelParams(Strict):
    """The network."""

    name: Literal["xresnet18"]
    stem_init: Literal["published", "he"]


class TrainParams(Strict):
    """The optimisation of one cell."""

    epochs: Annotated[int, Field(ge=1, le=10000)]
    batch_size: Annotated[int, Field(ge=2, le=65536)]
    learning_rate: Positive  # the peak of the one-cycle schedule
    weight_decay: NotNegative
    device: Annotated[str, written(r"auto|cpu|mps|cuda(:[0-9]+)?", "auto, cpu, mps, cuda or cuda:<number>")]
    precision: Literal["auto", "fp32", "bf16"]
    memory_gb: Positive | None  # the most that a cell's clips may take on the device; null: half of what is free


class CompareParams(Strict):
    """How the modes are held against each other."""

    baseline: _Name  # the mode that the others are compared with; the simplest where it is not among them
    # Held-out folds without a clip of some class: a refusal, or a comparison of the scores that then exist.
    incomplete_folds: Literal["refuse", "accept"]
    margin: Annotated[float, Field(ge=0, le=1)]  # a distance from the best mode's accuracy that is of no account
    sure: Annotated[float, Field(ge=0.5, lt=1)]  # the probability of being within it that is enough to decide
    sounds: Annotated[int, Field(ge=0, le=100)]  # clips that the page lets one hear, at most; 0: no sound in it at all


class TrackingParams(Strict):
    """Where results are mirrored in MLflow."""

    experiment: Annotated[str, Field(min_length=1)]
    required: bool  # an unreachable store is an error instead of a warning
    # Whose are registered: the recommended mode's, or each one's. The champion is the recommended one either way.
    models: Literal["recommended", "all"]


class Params(Strict):
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

    @model_validator(mode="after")
    def _moments_are_whole(self) -> Params:
        if self.spectrogram.storage != "float32" and self.statistics.fraction < 1:
            told = "1 where spectrogram.storage is float16: moments are taken of all frames before they are rounded"
            raise relation("statistics.fraction", told, self.statistics.fraction)
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
