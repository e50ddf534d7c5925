"""A mode fitted to one training set, as a file: its kind and that kind's version, options, state, provenance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field

from specnorm.errors import ConfigurationError, IntegrityError
from specnorm.files import read_sealed, write_sealed
from specnorm.normalization.base import Normalizer, Options, kind_named, options_of
from specnorm.params import NormParams, Waveform
from specnorm.refusal import typed
from specnorm.statistics.provenance import Provenance

if TYPE_CHECKING:  # it brings pandas, which a fitted mode needs as little as the shards it was fitted to
    from specnorm.statistics.training_set import TrainingStatistics

FORMAT = 3


@dataclass(frozen=True)
class FittedMode:
    """One mode for one held-out fold.

    A cell depends on the file of its mode: what stands in it says whether a cell is the one that would be trained now.
    """

    mode: str
    kind: str
    waveform: Waveform  # the variant of the clips' waveforms that the spectrograms are made of
    options: dict[str, Any]
    bins: Annotated[int, Field(ge=1)]
    state: dict[str, Any]  # buffers and parameters as nested lists
    version: int  # of the kind's numbers: another one means another normaliser
    provenance: Provenance | None  # None: the kind takes nothing from the statistics
    statistics: str | None  # digest of the statistics that it was fitted to; None likewise

    def build(self) -> Normalizer:
        """A fresh module in the fitted state.

        Raises:
            IntegrityError: options or state do not fit the kind; :func:`read` has refused such a file.
        """
        return _built(self, f"mode {self.mode}")


def check(mode: str, params: NormParams) -> tuple[type[Normalizer], Options]:
    """The class and the options of a mode; raises as :func:`fit` does, before any statistics exist."""
    kind = kind_named(params.kind, where=f"norm.{mode}.kind")
    return kind, options_of(kind, params.options, where=f"norm.{mode}")


def fit(mode: str, params: NormParams, statistics: TrainingStatistics) -> FittedMode:
    """Fit one mode to one training set.

    Raises:
        ConfigurationError: the kind or one of its options is unknown or out of range.
        IntegrityError: the statistics are of the other waveform variant.
    """
    if statistics.provenance.waveform != params.waveform:
        raise IntegrityError(
            "statistics of another waveform variant",
            where=f"norm.{mode}",
            expected=params.waveform,
            got=statistics.provenance.waveform,
        )
    kind, options = check(mode, params)
    of_any = kind.fitted_on == "bins"
    normalizer = kind.fit(statistics, **params.options)
    return FittedMode(
        mode=mode,
        kind=params.kind,
        waveform=params.waveform,
        options=options.model_dump(),
        bins=normalizer.bins,
        state={name: value.tolist() for name, value in normalizer.state_dict().items()},
        version=kind.version,
        provenance=None if of_any else statistics.provenance,
        statistics=None if of_any else statistics.digest,
    )


def write(fitted: FittedMode, path: Path) -> None:
    """Write a fitted mode as one sealed JSON file."""
    write_sealed(path, {"format": FORMAT, **asdict(fitted)})


def read(path: Path) -> FittedMode:
    """Read what :func:`write` wrote.

    Raises:
        IntegrityError: the file is missing, damaged, edited, of another format, or of another version of its kind.
        ConfigurationError: there is no such kind any more.
    """
    stored = read_sealed(path, format=FORMAT, what="normaliser")
    fitted = typed(FittedMode, stored, what="damaged normaliser", where=path)
    kind = kind_named(fitted.kind, where=path)
    told = {fitted.provenance is not None, fitted.statistics is not None}
    if told != {kind.fitted_on == "moments"}:
        expected = "provenance where there are figures of a training set, and nowhere else"
        raise IntegrityError("damaged normaliser", where=path, expected=expected)
    if fitted.version != kind.version:
        raise IntegrityError(
            f"another version of the normaliser {kind.kind}", where=path, expected=kind.version, got=fitted.version
        )
    _built(fitted, path)
    return fitted


def _built(fitted: FittedMode, where: object) -> Normalizer:
    kind = kind_named(fitted.kind, where=where)
    try:
        normalizer = kind(fitted.bins, options_of(kind, fitted.options, where="options"))
        state = {name: torch.tensor(values, dtype=torch.float32) for name, values in fitted.state.items()}
        for name, value in state.items():
            if not value.isfinite().all():
                raise ValueError(f"{name} is not finite")
        normalizer.load_state_dict(state)
    except (AttributeError, ConfigurationError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise IntegrityError("damaged normaliser", where=where, got=error) from error
    return normalizer
