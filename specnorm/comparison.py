"""The table of all cells: which mode, which fold, how good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from specnorm.cells import PROBABILITY, StoredCell
from specnorm.errors import IntegrityError
from specnorm.shards import Shards

_SHARED = ("dataset", "front_end", "model", "train")  # what must be equal in every cell of a fair comparison


@dataclass(frozen=True)
class Comparison:
    """``cells``: a row a cell; ``summary``: a row a mode, in the given order; ``curves``: a row an epoch."""

    cells: pd.DataFrame
    summary: pd.DataFrame
    curves: pd.DataFrame


def compare(stored: list[StoredCell], shards: Shards) -> Comparison:
    """Tabulate cells; every one must have predicted exactly the clips of its held-out fold.

    Accuracy and macro F1 (over the classes that the fold has) are computed from the predictions; the deviation is
    over a mode's cells (``ddof`` 1; empty for a single cell).

    Raises:
        IntegrityError: a cell was trained on other data or settings than the rest, or scored on other clips.
    """
    rows = [_row(cell, shards) for cell in stored]
    for name in _SHARED:
        reference = stored[0].metrics[name]
        for cell in stored:
            if cell.metrics[name] != reference:
                raise IntegrityError(
                    f"a cell with another {name}", where=cell.folder, expected=reference, got=cell.metrics[name],
                    hint="Run `dvc repro`",
                )  # fmt: skip
    cells = pd.DataFrame(rows)
    grouped = cells.groupby("norm", sort=False)
    summary = pd.DataFrame(
        {
            "cells": grouped.size(),
            "accuracy_mean": grouped["accuracy"].mean(),
            "accuracy_sd": grouped["accuracy"].std(ddof=1),
            "f1_macro_mean": grouped["f1_macro"].mean(),
        }
    ).reset_index()
    names = ["norm", "fold", "seed"]
    curves = pd.concat(
        [cell.history.assign(**{name: cell.metrics[name] for name in names}) for cell in stored], ignore_index=True
    )
    return Comparison(cells, summary, curves[names + [name for name in curves.columns if name not in names]])


def markdown(comparison: Comparison, *, title: str) -> str:
    """Both tables as Markdown, the summary first."""
    summary = comparison.summary.to_markdown(index=False, floatfmt=".4f", missingval="")
    cells = comparison.cells.to_markdown(index=False, floatfmt=".4f", missingval="")
    return f"# {title}\n\n## Modes\n\n{summary}\n\n## Cells\n\n{cells}\n"


def _row(cell: StoredCell, shards: Shards) -> dict[str, object]:
    metrics, run = cell.metrics, cell.run
    if metrics["dataset"] != shards.dataset_digest or metrics["front_end"] != shards.front_end_fingerprint:
        raise IntegrityError("a cell of other spectrograms", where=cell.folder, hint="Run `dvc repro`")
    expected = shards.of_fold(metrics["fold"])
    found = cell.predictions
    same = list(found["clip"]) == list(expected["clip"]) and list(found["target"]) == list(expected["target"])
    classes = [name for name in found.columns if name.startswith(PROBABILITY)]
    probabilities = cell.probabilities
    if not same or len(classes) != len(shards.classes):
        raise IntegrityError(
            "predictions of other clips", where=cell.folder, expected=f"the {len(expected)} clips of fold "
            f"{metrics['fold']}", got=f"{len(found)} clips", hint="Run `dvc repro`",
        )  # fmt: skip
    if not np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-3):  # float32 rounding; a NaN fails
        raise IntegrityError("predictions that are not probabilities", where=cell.folder, hint="Run `dvc repro`")
    predicted = probabilities.argmax(axis=1)
    targets = expected["target"].to_numpy()
    return {
        "norm": metrics["norm"],
        "fold": metrics["fold"],
        "seed": metrics["seed"],
        "accuracy": float(np.mean(predicted == targets)),
        "f1_macro": float(f1_score(targets, predicted, labels=np.unique(targets), average="macro", zero_division=0)),
        "loss": metrics["loss"],
        "train_seconds": run["train_seconds"],
        "device": run["device"],
        "precision": run["precision"],
    }


def flat(comparison: Comparison) -> dict[str, dict[str, float]]:
    """The summary as one small mapping a mode, for ``dvc metrics`` and ``dvc exp show``."""
    return {
        str(row["norm"]): {
            name: round(float(row[name]), 6)
            for name in ("accuracy_mean", "accuracy_sd", "f1_macro_mean")
            if np.isfinite(row[name])
        }
        for row in comparison.summary.to_dict("records")
    }
