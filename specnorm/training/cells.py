"""A trained cell on disk: weights, history, predictions, metrics, and how it was run."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load, save
from torch import Tensor

from specnorm.errors import IntegrityError
from specnorm.files import atomic_path, read_checked, read_json, sha256_file, write_bytes, write_json
from specnorm.params import Waveform
from specnorm.shards.store import Shards
from specnorm.training.batches import Clips
from specnorm.training.key import CellKey
from specnorm.training.loop import Result, score

MODEL_FILE = "model.safetensors"
HISTORY_FILE = "history.csv"
PREDICTIONS_FILE = "predictions.parquet"
METRICS_FILE = "metrics.json"
RUN_FILE = "run.json"
PROBABILITY = "probability_"  # a column a class: probability_0, probability_1, ... in the order of the targets


@dataclass(frozen=True)
class StoredCell:
    """What the comparison needs of a cell."""

    folder: Path
    history: pd.DataFrame
    predictions: pd.DataFrame  # clip, target, probability_0, ...
    metrics: dict[str, Any]
    run: dict[str, Any]

    @property
    def key(self) -> CellKey:
        """Which cell it is.

        Raises:
            IntegrityError: its metrics do not say that.
        """
        try:
            return CellKey.of(self.metrics)
        except ValueError as error:
            where, expected = self.folder / METRICS_FILE, "a mode's name, a fold and a seed"
            raise IntegrityError("damaged cell", where=where, expected=expected, got=error) from error

    @property
    def probabilities(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Class probabilities ``[clips, classes]``."""
        names = [name for name in self.predictions.columns if name.startswith(PROBABILITY)]
        return self.predictions[names].to_numpy(np.float64)


def clips_of(shards: Shards, waveform: Waveform, folds: list[int]) -> Clips:
    """The clips of some folds, memory-mapped, in the order of the folds and of their rows."""
    tables = pd.concat([shards.of_fold(fold) for fold in folds], ignore_index=True)
    return Clips(
        tuple(shards.load(waveform, fold) for fold in folds),
        torch.from_numpy(tables["target"].to_numpy(np.int64, copy=True)),
        [str(name) for name in tables["clip"]],
    )


def write(folder: Path, result: Result, held_out: Clips, identity: dict[str, Any], run: dict[str, Any]) -> None:
    """Write a cell; ``metrics.json`` comes last, with the other results' digests, and a folder without it is no cell.

    Args:
        folder: the cell's own folder.
        result: what training gave.
        held_out: the clips that it was scored on.
        identity: which cell this is (norm, fold, seed, ...) and a ``fingerprint`` of what it was computed from.
        run: how it was run: device, seconds, versions; two runs of one cell may differ in it.
    """
    (folder / METRICS_FILE).unlink(missing_ok=True)  # until the new cell is whole there is none
    state = {name: tensor.contiguous() for name, tensor in result.model.state_dict().items()}
    write_bytes(folder / MODEL_FILE, save(state, {"fingerprint": identity["fingerprint"]}))
    with atomic_path(folder / HISTORY_FILE) as partial:
        pd.DataFrame(result.history).astype({"epoch": int}).to_csv(partial, index=False)
    columns = {f"{PROBABILITY}{index}": column for index, column in enumerate(result.probabilities.numpy().T)}
    table = pd.DataFrame({"clip": held_out.names, "target": held_out.targets.numpy(), **columns})
    with atomic_path(folder / PREDICTIONS_FILE) as partial:
        table.to_parquet(partial, index=False)
    write_json(folder / RUN_FILE, run)
    final = score(result.probabilities, held_out.targets)
    digests = {name: sha256_file(folder / name) for name in (MODEL_FILE, HISTORY_FILE, PREDICTIONS_FILE)}
    metrics = {
        "accuracy": final["valid_accuracy"],
        "loss": final["valid_loss"],
        "clips": len(held_out),
        "sha256": digests,
    }
    write_json(folder / METRICS_FILE, {**identity, **metrics})


def read(folder: Path) -> StoredCell:
    """Read a cell; its weights are only known to be there.

    Raises:
        IntegrityError: a file of it is missing, damaged, or not the one that was written with ``metrics.json``.
    """
    metrics, run = _mapping(folder / METRICS_FILE), _mapping(folder / RUN_FILE)
    if not (folder / MODEL_FILE).is_file():
        raise IntegrityError("missing file", where=folder / MODEL_FILE)
    history, predictions = (
        reader(io.BytesIO(_checked(folder / name, metrics)))
        for name, reader in ((HISTORY_FILE, pd.read_csv), (PREDICTIONS_FILE, pd.read_parquet))
    )
    return StoredCell(folder, history, predictions, metrics, run)


def weights(cell: StoredCell) -> dict[str, Tensor]:
    """The state of the cell's model: ``normalizer.*`` and ``network.*``.

    Raises:
        IntegrityError: the file is missing, damaged, or not the one that the cell was written with.
    """
    path = cell.folder / MODEL_FILE
    state: dict[str, Tensor] = load(_checked(path, cell.metrics))
    return state


def _checked(path: Path, metrics: dict[str, Any]) -> bytes:
    """A file's bytes, which must have the digest that the cell's metrics name."""
    digests = metrics.get("sha256")
    return read_checked(path, digests.get(path.name) if isinstance(digests, dict) else None)


def _mapping(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise IntegrityError("unreadable file", where=path, expected="a mapping", got=type(value).__name__)
    return value
