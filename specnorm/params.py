"""The one door for parameters: ``params.yaml`` becomes frozen, typed objects here or is refused by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from specnorm.errors import ConfigurationError
from specnorm.front_end_params import LinearParams as LinearParams
from specnorm.front_end_params import MelParams as MelParams
from specnorm.front_end_params import SpectrogramParams as SpectrogramParams
from specnorm.refusal import refusal, relation, sections_of, shown, written
from specnorm.strict import NotNegative, Positive, Strict

Waveform = Literal["raw", "standardized"]
WAVEFORMS: tuple[Waveform, ...] = get_args(Waveform)

_Name = Annotated[str, written(r"[A-Za-z0-9][A-Za-z0-9_]*", "letters, digits and _, starting with no _")]
_Seed = Annotated[int, Field(ge=0, lt=2**31)]
_Source = Annotated[str, written(r"(?!\?{3}$).+", "a zip or a folder")]  # ??? is Hydra's mark of a value to be given


def _with_one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError) as error:
        wrong = str(error)
    else:
        wrong = f"{groups} groups; (?:...) makes none" if groups != 1 else ""
    if wrong:
        # The braces of an expression are no place of pydantic's template, so the words come as a value.
        words = f"a regular expression with exactly one group ({wrong})"
        raise PydanticCustomError("pattern", "{words}", {"words": words})
    return pattern


class _DatasetParams(Strict):
    # What titles, MLflow's data sets and its registered model call the data set; null: the source's name.
    name: Annotated[str, written(r"\w[\w .-]{0,99}(?<! )", "up to 100 letters, digits, spaces and . _ -")] | None


class EscParams(_DatasetParams):
    """ESC-50, or any archive or folder in its layout."""

    kind: Literal["esc50"]
    subset: Literal["all", "esc10"]
    source: str | None  # a zip or a folder on this machine; null downloads `url`
    complete: bool  # hold the published counts to be true; false accepts a cut
    url: str
    size: Annotated[int, Field(gt=0)] | None  # bytes; null where the host promises none
    md5: Annotated[str, written(r"[0-9a-f]{32}", "32 digits from 0 to f")]


class FolderParams(_DatasetParams):
    """A folder or a zip with one sub-folder of audio files a class."""

    kind: Literal["folder"]
    source: _Source
    # On a file's name; its one group names the recording, the speaker or the machine. Null: every clip is its own.
    group_pattern: Annotated[str, AfterValidator(_with_one_group)] | None
    folds: Annotated[int, Field(ge=2, le=100)]  # how many to make
    seed: _Seed


class CsvParams(_DatasetParams):
    """A folder or a zip of audio files with a CSV that labels them."""

    kind: Literal["csv"]
    source: _Source
    table: str  # the CSV's path inside the source
    audio: str  # the folder inside the source that file names are relative to
    filename_column: str
    label_column: str
    fold_column: str | None  # null: folds are made
    group_column: str | None  # clips of one group stay in one fold; null: every clip is its own group
    folds: Annotated[int, Field(ge=2, le=100)]  # how many to make
    seed: _Seed


class SyntheticParams(_DatasetParams):
    """A generated data set of ten physically distinct sound classes."""

    kind: Literal["synthetic"]
    sources: Annotated[int, Field(ge=1, le=1000)]  # source recordings a class and fold
    clips: Annotated[int, Field(ge=1, le=100)]  # clips a source recording
    folds: Annotated[int, Field(ge=2, le=100)]
    sample_rate: Annotated[int, Field(ge=8000, le=192000)]  # Hz
    clip_seconds: Annotated[float, Field(ge=0.25, le=60)]
    seed: _Seed


DatasetParams = Annotated[EscParams | FolderParams | CsvParams | SyntheticParams, Field(discriminator="kind")]


class StatisticsParams(Strict):
    """How the training statistics are estimated."""

    fraction: Annotated[float, Field(gt=0, le=1)]  # share of the frames of every clip
    seed: _Seed


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
    seeds: Annotated[list[_Seed], Field(min_length=1)]

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


class TrackingParams(Strict):
    """Where results are mirrored in MLflow."""

    experiment: Annotated[str, Field(min_length=1)]
    required: bool  # an unreachable store is an error instead of a warning


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
        folds = _folds_of(self.dataset)
        unknown = [fold for fold in self.protocol.folds if folds is not None and fold > folds]
        if unknown:
            raise relation("protocol.folds", f"folds from 1 to {folds}, the data set's", unknown)
        return self


def _folds_of(dataset: DatasetParams) -> int | None:
    """How many folds a data set has, where its parameters tell; a fold column is read much later."""
    if isinstance(dataset, EscParams):
        return 5
    if isinstance(dataset, CsvParams) and dataset.fold_column is not None:
        return None
    return dataset.folds


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
