"""A trained cell on disk: weights, history, predictions, metrics, and how it was run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save

from specnorm.errors import IntegrityError
from specnorm.files import atomic_path, read_json, write_bytes, write_json
from specnorm.params import Waveform
from specnorm.shards import Shards
from specnorm.training.batches import Clips
from specnorm.training.loop import Result, score

MODEL = "model.safetensors"
HISTORY = "history.csv"
PREDICTIONS = "predictions.parquet"
METRICS = "metrics.json"
RUN = "run.json"
PROBABILITY = "probability_"  # a column a class: probability_0, probability_1, ... in the order of the targets
_AGAIN = "Run `dvc repro` to train it"


@dataclass(frozen=True)
class StoredCell:
    """What the comparison needs of a cell."""

    folder: Path
    history: pd.DataFrame
    predictions: pd.DataFrame  # clip, target, probability_0, ...
    metrics: dict[str, Any]
    run: dict[str, Any]

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
    """Write a cell; ``metrics.json`` comes last, and a folder without it is no cell.

    Args:
        folder: the cell's own folder.
        result: what training gave.
        held_out: the clips that it was scored on.
        identity: which cell this is (norm, fold, seed, ...) and a ``fingerprint`` of what it was computed from.
        run: how it was run: device, seconds, versions; two runs of one cell may differ in it.
    """
    (folder / METRICS).unlink(missing_ok=True)  # until the new cell is whole there is none
    state = {name: tensor.contiguous() for name, tensor in result.model.state_dict().items()}
    write_bytes(folder / MODEL, save(state, {"fingerprint": identity["fingerprint"]}))
    with atomic_path(folder / HISTORY) as partial:
        pd.DataFrame(result.history).astype({"epoch": int}).to_csv(partial, index=False)
    columns = {f"{PROBABILITY}{index}": column for index, column in enumerate(result.probabilities.numpy().T)}
    table = pd.DataFrame({"clip": held_out.names, "target": held_out.targets.numpy(), **columns})
    with atomic_path(folder / PREDICTIONS) as partial:
        table.to_parquet(partial, index=False)
    write_json(folder / RUN, run)
    final = score(result.probabilities, held_out.targets)
    metrics = {"accuracy": final["valid_accuracy"], "loss": final["valid_loss"], "clips": len(held_out)}
    write_json(folder / METRICS, {**identity, **metrics})


def read(folder: Path) -> StoredCell:
    """Read a cell.

    Raises:
        IntegrityError: a file of it is missing or damaged.
    """
    metrics, run = _mapping(folder / METRICS), _mapping(folder / RUN)
    if not (folder / MODEL).is_file():
        raise IntegrityError("missing file", where=folder / MODEL, hint=_AGAIN)
    history = _table(folder / HISTORY, pd.read_csv)
    return StoredCell(folder, history, _table(folder / PREDICTIONS, pd.read_parquet), metrics, run)


def _mapping(path: Path) -> dict[str, Any]:
    value = read_json(path, hint=_AGAIN)
    if not isinstance(value, dict):
        raise IntegrityError("unreadable file", where=path, expected="a mapping", got=type(value).__name__, hint=_AGAIN)
    return value


def _table(path: Path, reader: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
    try:
        return reader(path)
    except Exception as error:  # a damaged Parquet file raises nearly anything
        raise IntegrityError("unreadable file", where=path, got=error, hint=_AGAIN) from error
