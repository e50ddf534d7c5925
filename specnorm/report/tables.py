"""The tables of a comparison, for people (Markdown) and for tools (frames, and a small mapping for DVC)."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from specnorm.comparison.metrics import METRICS, points

_PARTS = {"mean": "mean", "deviation": "sd", "low": "low", "high": "high"}  # the verdict's words and those shown
_FLAT = ("accuracy_mean", "accuracy_sd", "accuracy_low", "accuracy_high", "f1_macro_mean", "log_loss_mean")


def numbers(mode: dict[str, Any]) -> dict[str, float | None]:
    """A mode of a verdict's document, flat: ``accuracy_mean``, ``accuracy_sd``, ``accuracy_low``, ..."""
    return {f"{metric}_{shown}": mode[metric][part] for metric in METRICS for part, shown in _PARTS.items()}


def summary(document: dict[str, Any]) -> pd.DataFrame:
    """A row a mode: ``norm``, ``cells``, then its :func:`numbers`, NaN where there is none."""
    modes = document["modes"]
    values = pd.DataFrame([numbers(mode) for mode in modes], dtype=float)
    return pd.concat([pd.DataFrame([{"norm": mode["norm"], "cells": mode["cells"]} for mode in modes]), values], axis=1)


def flat(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """:func:`summary` as one small mapping a mode, for ``dvc metrics`` and ``dvc exp show``."""
    return {
        str(row["norm"]): {name: round(float(row[name]), 6) for name in _FLAT if math.isfinite(row[name])}
        for row in table.to_dict("records")
    }


def summary_markdown(document: dict[str, Any]) -> str:
    """The modes of a verdict's document as a Markdown table, each metric's mean with its 95 % interval."""
    rows = []
    for mode in document["modes"]:
        deviation = mode["accuracy"]["deviation"]
        row = {
            "norm": mode["norm"],
            "cells": mode["cells"],
            "accuracy (%)": _interval(mode["accuracy"], 1),
            "deviation over cells": "" if deviation is None else f"{points(deviation):.1f}",
            "macro F1 (%)": _interval(mode["f1_macro"], 1),
            "log loss (nats)": _interval(mode["log_loss"], 3, share=False),
            "calibration error (%)": _interval(mode["calibration_error"], 1),
        }
        rows.append(row)
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def cells_markdown(cells: pd.DataFrame) -> str:
    """A row a cell as a Markdown table."""
    return cells.to_markdown(index=False, floatfmt=".4f")


def _interval(found: dict[str, float | None], digits: int, *, share: bool = True) -> str:
    value, low, high = (found[name] for name in ("mean", "low", "high"))
    if value is None or low is None or high is None:
        return ""
    value, low, high = (points(each) if share else each for each in (value, low, high))
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
