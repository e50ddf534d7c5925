"""The part that every statistics file shares: one list a field of the moments, and the same of all bins as one."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from specnorm.errors import IntegrityError
from specnorm.files import read_sealed
from specnorm.statistics.moments import Moments

FORMAT = 2


def document(moments: Moments, bin_frequencies_hz: list[float] | None) -> dict[str, Any]:
    """The shared part of a file, JSON-like: ``format``, ``bins`` with a value a bin, and ``global``."""
    frequencies = {} if bin_frequencies_hz is None else {"frequency_hz": bin_frequencies_hz}
    pooled = {name: values[0] for name, values in _columns(moments.pooled()).items()}
    return {"format": FORMAT, "bins": {**frequencies, **_columns(moments)}, "global": pooled}


def read_document(path: Path) -> dict[str, Any]:
    """Read a statistics file.

    Raises:
        IntegrityError: the file is missing, is not JSON, is of another format, or is not the one that was written.
    """
    return read_sealed(path, format=FORMAT, what="statistics")


def moments_of(stored: dict[str, Any]) -> tuple[Moments, list[float] | None]:
    """The moments that ``document`` wrote, not yet checked, and the frequencies of the bins where they are told.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: the document is damaged.
    """
    columns = stored["bins"]
    moments = Moments(
        count=np.asarray(columns["count"], np.int64),
        floor_count=np.asarray(columns["floor_count"], np.int64),
        **{name: np.asarray(columns[name], np.float64) for name in ("mean", "m2", "minimum", "maximum")},
    )
    return moments, [float(value) for value in columns["frequency_hz"]] if "frequency_hz" in columns else None


def check_possible(moments: Moments, bin_frequencies_hz: list[float] | None, where: object) -> None:
    """Refuse moments that no values have.

    Raises:
        IntegrityError: a bin without a value, a field that is not finite, extremes that cross, or columns of different
            lengths.
    """
    shapes = {getattr(moments, field.name).shape for field in fields(Moments)}
    if bin_frequencies_hz is not None:
        shapes.add((len(bin_frequencies_hz),))
    possible = (
        shapes == {(moments.count.size,)}
        and moments.count.size > 0
        and all(np.isfinite(getattr(moments, field.name)).all() for field in fields(Moments))
        and (moments.count > 0).all()
        and (moments.m2 >= 0).all()
        and (moments.minimum <= moments.maximum).all()
        and ((moments.floor_count >= 0) & (moments.floor_count <= moments.count)).all()
    )
    if not possible:
        raise IntegrityError("impossible statistics", where=where, expected="finite moments of every bin")


def _columns(moments: Moments) -> dict[str, list[Any]]:
    columns = {field.name: getattr(moments, field.name).tolist() for field in fields(Moments)}
    # Derived, for the reader: the deviation that a normaliser divides by, and the share of values at the floor.
    return {**columns, "deviation": moments.deviation.tolist(), "floor_share": moments.floor_share.tolist()}
