"""A mode fitted to one training set, as a file: its kind, options and state, its code's digest, its provenance."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from specnorm.errors import IntegrityError
from specnorm.files import read_json, write_json
from specnorm.normalization.base import Normalizer, Options, kind_named, options_of
from specnorm.params import NormParams, Waveform
from specnorm.statistics.training_set import Provenance, TrainingStatistics

FORMAT = 1


@dataclass(frozen=True)
class FittedMode:
    """One mode for one held-out fold."""

    mode: str
    kind: str
    waveform: Waveform  # the variant of the clips' waveforms that the spectrograms are made of
    options: dict[str, Any]
    bins: int
    state: dict[str, Any]  # buffers and parameters as nested lists
    code: str  # digest of the class's source: other code means another normaliser
    provenance: Provenance | None  # None: the kind takes nothing from the statistics

    def build(self) -> Normalizer:
        """A fresh module in the fitted state.

        Raises:
            IntegrityError: the state does not fit the kind.
        """
        kind = kind_named(self.kind)
        options = options_of(kind, self.options, where=f"norm.{self.mode}")
        try:
            normalizer = kind(options, self.bins)
            state = {name: torch.tensor(values, dtype=torch.float32) for name, values in self.state.items()}
            for name, value in state.items():
                if not value.isfinite().all():
                    raise ValueError(f"{name} is not finite")
            normalizer.load_state_dict(state)
        except (AttributeError, OverflowError, RuntimeError, TypeError, ValueError) as error:
            raise IntegrityError("damaged normaliser", where=self.mode, got=error) from error
        return normalizer


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
    normalizer = kind.fit(options, statistics)
    return FittedMode(
        mode=mode,
        kind=params.kind,
        waveform=params.waveform,
        options=options.model_dump(),
        bins=normalizer.bins,
        state={name: value.tolist() for name, value in normalizer.state_dict().items()},
        code=code_digest(kind),
        provenance=statistics.provenance if kind.needs_statistics else None,
    )


def write(fitted: FittedMode, path: Path) -> None:
    """Write a fitted mode as JSON."""
    write_json(path, {"format": FORMAT, **asdict(fitted)})


def read(path: Path) -> FittedMode:
    """Read what :func:`write` wrote.

    Raises:
        IntegrityError: the file is missing, damaged, of another format, or made by other code than this.
    """
    stored = read_json(path)
    try:
        if stored["format"] != FORMAT:
            raise ValueError(f"format {stored['format']}")
        values = {field.name: stored[field.name] for field in fields(FittedMode)}
        if values["provenance"] is not None:
            values["provenance"] = Provenance(**values["provenance"])
        if not isinstance(values["kind"], str):
            raise TypeError(f"kind {values['kind']}")
        fitted = FittedMode(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError("damaged normaliser", where=path, got=repr(error)) from error
    code = code_digest(kind_named(fitted.kind))
    if fitted.code != code:
        raise IntegrityError("a normaliser of other code", where=path, expected=code, got=fitted.code)
    return fitted


def code_digest(kind: type[Normalizer]) -> str:
    """Digest of the source files of a class and of those of its bases that are normalisers.

    A cell depends on this digest instead of on the whole package, so a new kind does not retrain the old ones.
    """
    bases = [base for base in kind.__mro__ if issubclass(base, Normalizer)]
    files = {base.__module__: inspect.getsourcefile(base) for base in bases}
    sources = [Path(file).read_bytes() for _, file in sorted(files.items()) if file]
    return hashlib.sha256(b"\0".join(hashlib.sha256(source).digest() for source in sources)).hexdigest()
