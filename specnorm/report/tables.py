"""The tables of a comparison, for people (Markdown) and for tools (frames, and a small mapping for DVC)."""

from __future__ import annotations

import math

import pandas as pd

from specnorm.comparison.document import Document, Estimate, Mode
from specnorm.comparison.metrics import METRICS, points
from specnorm.report.plain import plain

_PARTS = {"mean": "mean", "deviation": "sd", "low": "low", "high": "high"}  # the verdict's words and those shown


def numbers(mode: Mode) -> dict[str, float | None]:
    """A mode of a verdict's document, flat: ``accuracy_mean``, ``accuracy_sd``, ``accuracy_low``, ..."""
    return {
        f"{metric}_{shown}": getattr(getattr(mode, metric), part)
        for metric in METRICS
        for part, shown in _PARTS.items()
    }


def summary(document: Document) -> pd.DataFrame:
    """A row a mode: ``norm``, ``cells``, then its :func:`numbers`, NaN where there is none."""
    values = pd.DataFrame([numbers(mode) for mode in document.modes], dtype=float)
    names = pd.DataFrame([{"norm": mode.norm, "cells": mode.cells} for mode in document.modes])
    return pd.concat([names, values], axis=1)


def flat(table: pd.DataFrame) -> dict[str, float]:
    """Mean accuracy by mode, for ``dvc metrics`` and ``dvc exp show``: a column a mode, as few as a terminal holds."""
    rows = zip(table["norm"], table["accuracy_mean"], strict=True)
    return {str(norm): round(float(mean), 4) for norm, mean in rows if math.isfinite(mean)}


def markdown(document: Document, cells: pd.DataFrame) -> str:
    """All of it as Markdown: the verdict, the modes, the no-op check, and a row a cell.

    Args:
        document: the verdict's.
        cells: a row a cell.
    """
    effects = "\n".join(f"- {effect.sentence}." for effect in document.noop.effects)
    check = f"\n## What the first normalisation layer leaves of each mode\n\n{effects}\n" if effects else ""
    return (
        f"# {plain(document.title)}\n\n## Verdict\n\n{verdict_markdown(document)}\n## Modes\n\n"
        f"{summary_markdown(document)}\n{check}\n## Cells\n\n{cells_markdown(cells)}\n"
    )


def verdict_markdown(document: Document) -> str:
    """What to do and every pair's sentence as Markdown."""
    said = "\n".join(f"- {pair.sentence}." for pair in document.pairs)
    first, *others = map(plain, document.answer())
    more = "".join(f"\n{sentence}.\n" for sentence in others)
    return f"**{first}.**\n{more}" + (f"\n{said}\n" if said else "")


def summary_markdown(document: Document) -> str:
    """The modes of a verdict's document as a Markdown table, each metric's mean with its 95 % interval."""
    rows = []
    for mode in document.modes:
        deviation = mode.accuracy.deviation
        row = {
            "norm": mode.norm,
            "cells": mode.cells,
            "accuracy (%)": _interval(mode.accuracy, 1),
            "deviation over cells": "" if deviation is None else f"{points(deviation):.1f}",
            "macro F1 (%)": _interval(mode.f1_macro, 1),
            "log loss (nats)": _interval(mode.log_loss, 3, share=False),
            "calibration error (%)": _interval(mode.calibration_error, 1),
            "of it by chance": f"{points(mode.calibration_floor):.1f}",
        }
        rows.append(row)
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def cells_markdown(cells: pd.DataFrame) -> str:
    """A row a cell as a Markdown table."""
    return cells.to_markdown(index=False, floatfmt=".4f")


def _interval(found: Estimate, digits: int, *, share: bool = True) -> str:
    if found.mean is None or found.low is None or found.high is None:
        return ""
    value, low, high = (points(each) if share else each for each in (found.mean, found.low, found.high))
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
