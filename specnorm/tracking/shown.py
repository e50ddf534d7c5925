"""A comparison's verdict as MLflow shows it: numbers, a table, a note."""

from __future__ import annotations

from typing import Any

import pandas as pd

from specnorm.metrics import METRICS
from specnorm.tables import summary_markdown

_PARTS = {"mean": "mean", "deviation": "sd", "low": "low", "high": "high"}  # the verdict's words and those shown


def numbers(mode: dict[str, Any]) -> dict[str, float | None]:
    """A mode's means, deviations and intervals, flat: ``accuracy_mean``, ``accuracy_sd``, ``accuracy_low``, ..."""
    return {f"{metric}_{shown}": mode[metric][part] for metric in METRICS for part, shown in _PARTS.items()}


def table(verdict: dict[str, Any]) -> pd.DataFrame:
    """A row a mode."""
    return pd.DataFrame([{"norm": mode["norm"], "cells": mode["cells"], **numbers(mode)} for mode in verdict["modes"]])


def summary(verdict: dict[str, Any]) -> str:
    """The comparison in Markdown: what was compared, what is recommended, a row a mode."""
    caveat = f"\n\n{verdict['caveat']}." if verdict["caveat"] else ""
    return f"### {verdict['title']}\n\n{verdict['recommendation']}.{caveat}\n\n{summary_markdown(verdict)}\n"


def note(verdict: dict[str, Any], mode: str) -> str:
    """What the verdict says of one mode, in Markdown."""
    place = "is the recommended mode" if mode == verdict["recommended"] else "is not the recommended mode"
    pairs = [pair["sentence"] for pair in verdict["pairs"] if mode in (pair["one"], pair["other"])]
    lines = [f"`{mode}` {place}. {verdict['recommendation']}.", "", *(f"- {sentence}." for sentence in pairs)]
    return "\n".join(lines).strip() + "\n"
