"""Cells that may be compared, as tables: which mode, which fold, how good, how learned, what taken for what."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from specnorm.comparison.metrics import METRICS, ratio
from specnorm.errors import IntegrityError
from specnorm.shards.store import Shards
from specnorm.training.cells import PREDICTIONS_FILE, PROBABILITY, StoredCell
from specnorm.training.key import METRICS_FILE, CellKey

TOLD = 100  # classes of which every pair is told, however few clips it has

_SHARED = ("dataset", "front_end", "model", "train")  # what must be equal in every cell of a fair comparison


@dataclass(frozen=True)
class CellTables:
    """``cells``: a row a cell; ``curves``: a row an epoch; ``confusion``: a row a mode and pair of classes."""

    cells: pd.DataFrame
    curves: pd.DataFrame
    confusion: pd.DataFrame


def check(stored: list[StoredCell], shards: Shards) -> CellTables:
    """Check that cells may be compared, and tabulate them.

    Every mode must have the same folds and seeds, and every cell exactly its held-out fold's clips. Accuracy and macro
    F1 are computed from the predictions.

    Raises:
        IntegrityError: a cell is missing, there twice, trained on other data or settings than the rest, or
            scored on other clips.
    """
    rows = [_row(cell, shards) for cell in stored]
    for name in _SHARED:
        _check_same(name, stored)
    for place in sorted({(cell.key.norm, cell.key.fold) for cell in stored}):
        _check_same("normalizer", [cell for cell in stored if (cell.key.norm, cell.key.fold) == place])
    _check_complete(stored)
    cells = pd.DataFrame(rows)
    curves = pd.concat([cell.history.assign(**asdict(cell.key)) for cell in stored], ignore_index=True)
    names = [field.name for field in fields(CellKey)]
    curves = curves[names + [name for name in curves.columns if name not in names]]
    return CellTables(cells, curves, _confusion(stored, shards.classes))


def _confusion(cells: list[StoredCell], labels: list[str]) -> pd.DataFrame:
    """A row a mode, actual and predicted class: how many clips (over all seeds), and which share of the class.

    There is no share, a NaN, of a class that no held-out fold has. Of more than :data:`TOLD` classes there are only the
    rows that some clip is in: nearly all of their squares are empty.
    """
    names, parts = np.asarray(labels, dtype=object), []
    for norm, counts in _counts(cells, len(labels)).items():
        shares = ratio(counts.astype(np.float64), np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape))
        chosen = np.ones_like(counts, np.bool_) if len(labels) <= TOLD else counts > 0
        actual, predicted = np.nonzero(chosen)
        columns = {"actual": names[actual], "predicted": names[predicted]}
        parts.append(pd.DataFrame({"norm": norm, **columns, "clips": counts[chosen], "share": shares[chosen]}))
    return pd.concat(parts, ignore_index=True)


def _counts(cells: list[StoredCell], classes: int) -> dict[str, NDArray[np.int64]]:
    counts: dict[str, NDArray[np.int64]] = {}
    for cell in cells:
        predicted = cell.probabilities.argmax(axis=1)
        own = confusion_matrix(cell.predictions["target"], predicted, labels=range(classes))
        counts[cell.key.norm] = counts.get(cell.key.norm, 0) + own
    return counts


def _check_same(name: str, stored: list[StoredCell]) -> None:
    reference = stored[0].metrics[name]
    for cell in stored:
        found = cell.metrics[name]
        if found != reference:
            raise IntegrityError(f"a cell with another {name}", where=cell.folder, expected=reference, got=found)


def _check_complete(stored: list[StoredCell]) -> None:
    """A mode's mean over four folds must not stand beside another's over five."""
    folders: dict[CellKey, Path] = {}
    for cell in stored:
        if cell.key in folders:
            alone = f"it in {folders[cell.key]} alone"
            raise IntegrityError(f"one cell twice: {cell.key}", where=cell.folder, expected=alone)
        folders[cell.key] = cell.folder
    for mode in dict.fromkeys(key.norm for key in folders):
        for fold, seed in sorted({(key.fold, key.seed) for key in folders}):
            if CellKey(mode, fold, seed) not in folders:
                elsewhere = f"fold {fold} seed {seed}, which another mode has"
                raise IntegrityError("a missing cell", where=f"mode {mode}", expected=elsewhere)


def _row(cell: StoredCell, shards: Shards) -> dict[str, object]:
    metrics, run = cell.metrics, cell.run
    made, used = (shards.dataset_digest, shards.front_end_fingerprint), (metrics["dataset"], metrics["front_end"])
    if used != made:
        raise IntegrityError("a cell of other spectrograms", where=cell.folder, expected=made, got=used)
    held_out = _held_out(cell, shards)
    probabilities = _probabilities(cell, len(shards.classes))
    targets = held_out["target"].to_numpy(np.int64)
    accuracy, f1_macro, loss = (
        METRICS[name].of(probabilities, targets) for name in ("accuracy", "f1_macro", "log_loss")
    )
    # Two ways to the same figures, up to the order of float64 sums.
    for name, score in (("accuracy", accuracy), ("loss", loss)):
        if not np.isclose(metrics[name], score, rtol=1e-9, atol=1e-12):
            where, expected = cell.folder / METRICS_FILE, f"{name} {score}"
            raise IntegrityError("metrics of other predictions", where=where, expected=expected, got=metrics[name])
    return {
        **asdict(cell.key),
        "accuracy": accuracy,
        "f1_macro": f1_macro,
        "loss": loss,
        "train_seconds": run["train_seconds"],
        "total_seconds": run["total_seconds"],
        "device": run["device"],
        "precision": run["precision"],
    }


def _held_out(cell: StoredCell, shards: Shards) -> pd.DataFrame:
    """The clips of a cell's held-out fold, which must be those of its predictions."""
    fold, found = cell.key.fold, cell.predictions
    clips = shards.of_fold(fold)
    same = list(found["clip"]) == list(clips["clip"]) and list(found["target"]) == list(clips["target"])
    if clips.empty or not same:
        raise IntegrityError(
            "predictions of other clips",
            where=cell.folder / PREDICTIONS_FILE,
            expected=f"the {len(clips)} clips of fold {fold}",
            got=f"{len(found)} clips",
        )
    return clips


def _probabilities(cell: StoredCell, classes: int) -> NDArray[np.float64]:
    """A cell's probabilities ``[clips, classes]``, which must be some, of all classes in their order."""
    where = cell.folder / PREDICTIONS_FILE
    names = [name for name in cell.predictions.columns if name.startswith(PROBABILITY)]
    if names != [f"{PROBABILITY}{index}" for index in range(classes)]:
        expected = f"{classes} columns in order"
        raise IntegrityError(
            "predictions of other classes", where=where, expected=expected, got=f"{len(names)} columns"
        )
    found = cell.probabilities
    # 1e-3 leaves room for float32 rounding; a NaN fails both.
    if not (np.all(found >= 0) and np.allclose(found.sum(axis=1), 1.0, rtol=0, atol=1e-3)):
        raise IntegrityError("predictions that are not probabilities", where=where)
    return found
