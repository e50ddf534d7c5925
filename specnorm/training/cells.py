"""A trained cell on disk: weights, history, predictions, metrics, and how it was run."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, Field
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from specnorm.errors import IntegrityError
from specnorm.files import atomic_path, fingerprint, read_checked, read_sealed, sha256_file, write_bytes, write_sealed
from specnorm.params import ModelParams, TrainParams, Waveform
from specnorm.refusal import typed
from specnorm.shards.parquet import Kind, check_columns, read_table
from specnorm.shards.store import Shards
from specnorm.training.batches import Clips
from specnorm.training.key import FORMAT, METRICS_FILE, RUN_FILE, CellKey
from specnorm.training.loop import Result, score

MODEL_FILE = "model.safetensors"
HISTORY_FILE = "history.csv"
PREDICTIONS_FILE = "predictions.parquet"
PROBABILITY = "probability_"  # a column a class: probability_0, probability_1, ... in the order of the targets

_HISTORY: dict[str, Kind] = {
    "epoch": "a whole number",
    "learning_rate": "a number",
    "train_loss": "a number",
    "valid_loss": "a number",
    "valid_accuracy": "a number",
}


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
        """Which cell it is."""
        return CellKey(self.metrics["norm"], self.metrics["fold"], self.metrics["seed"])

    @property
    def probabilities(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Class probabilities ``[clips, classes]``."""
        names = [name for name in self.predictions.columns if name.startswith(PROBABILITY)]
        return self.predictions[names].to_numpy(np.float64)


def clips_of(shards: Shards, waveform: Waveform, folds: list[int]) -> Clips:
    """The clips of some folds, memory-mapped, in the order of the folds and of their rows."""
    tables = pd.concat([shards.of_fold(fold) for fold in folds], ignore_index=True)
    return Clips(
        tuple(part for fold in folds for part in shards.parts(waveform, fold)),
        torch.from_numpy(tables["target"].to_numpy(np.int64, copy=True)),
        [str(name) for name in tables["clip"]],
    )


def origin(
    key: CellKey, *, dataset: str, front_end: str, normalizer: str, model: ModelParams, train: TrainParams
) -> dict[str, Any]:
    """What a cell's result depends on, the machine aside; where one of it differs, the cell is another.

    Args:
        key: which cell.
        dataset: digest of the clips and their labels.
        front_end: fingerprint of what made the spectrograms.
        normalizer: digest of the fitted mode's file.
        model: the network.
        train: the recipe. How much memory the clips may take is left out: the batches are the same.
    """
    return {
        **asdict(key),
        "dataset": dataset,
        "front_end": front_end,
        "normalizer": normalizer,
        "model": model.model_dump(),
        "train": train.model_dump(exclude={"memory_gb"}),
    }


def write(folder: Path, result: Result, held_out: Clips, origin: dict[str, Any], run: dict[str, Any]) -> None:
    """Write a cell; ``metrics.json`` comes last, with the other results' digests, and a folder without it is no cell.

    Args:
        folder: the cell's own folder.
        result: what training gave.
        held_out: the clips that it was scored on.
        origin: from :func:`origin`.
        run: how it was run: device, seconds, versions; two runs of one cell may differ in it.
    """
    (folder / METRICS_FILE).unlink(missing_ok=True)  # until the new cell is whole there is none
    identity = {**origin, "fingerprint": fingerprint(origin)}
    state = {name: tensor.contiguous() for name, tensor in result.model.state_dict().items()}
    write_bytes(folder / MODEL_FILE, save(state, {"fingerprint": identity["fingerprint"]}))
    with atomic_path(folder / HISTORY_FILE) as partial:
        pd.DataFrame(result.history).astype({"epoch": int}).to_csv(partial, index=False)
    columns = {f"{PROBABILITY}{index}": column for index, column in enumerate(result.probabilities.numpy().T)}
    table = pd.DataFrame({"clip": held_out.names, "target": held_out.targets.numpy(), **columns})
    with atomic_path(folder / PREDICTIONS_FILE) as partial:
        table.to_parquet(partial, index=False)
    write_sealed(folder / RUN_FILE, {"format": FORMAT, **run})
    final = score(result.probabilities, held_out.targets)
    digests = {name: sha256_file(folder / name) for name in (MODEL_FILE, HISTORY_FILE, PREDICTIONS_FILE)}
    metrics = {
        "accuracy": final["valid_accuracy"],
        "loss": final["valid_loss"],
        "clips": len(held_out),
        "sha256": digests,
    }
    write_sealed(folder / METRICS_FILE, {"format": FORMAT, **identity, **metrics})


def read(folder: Path) -> StoredCell:
    """Read a cell; its weights are only known to be there.

    Raises:
        IntegrityError: a file of it is missing, damaged, or not the one that was written with ``metrics.json``, or
            lacks a value or has one of another type.
    """
    metrics, run = (_sealed(folder / name, kind) for name, kind in ((METRICS_FILE, _Metrics), (RUN_FILE, _Run)))
    if not (folder / MODEL_FILE).is_file():
        raise IntegrityError("missing file", where=folder / MODEL_FILE)
    return StoredCell(folder, _history(folder / HISTORY_FILE, metrics), _predictions(folder, metrics), metrics, run)


def weights(cell: StoredCell) -> dict[str, Tensor]:
    """The state of the cell's model: ``normalizer.*`` and ``network.*``.

    Raises:
        IntegrityError: the file is missing, damaged, or not the one that the cell was written with.
    """
    path = cell.folder / MODEL_FILE
    data = _checked(path, cell.metrics)
    try:
        state: dict[str, Tensor] = load(data)
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:  # a type that torch lacks, too
        raise IntegrityError("unreadable weights", where=path, expected="safetensors", got=error) from error
    return state


class _Metrics(BaseModel):
    """What ``metrics.json`` must have; the rest of it passes."""

    norm: str
    fold: int
    seed: int
    dataset: str
    front_end: str
    normalizer: str
    model: dict[str, Any]
    train: dict[str, Any]
    fingerprint: str
    accuracy: Annotated[float, Field(ge=0, le=1)]
    loss: Annotated[float, Field(ge=0)]  # nats
    clips: Annotated[int, Field(ge=1)]
    sha256: dict[str, str]


class _Run(BaseModel):
    """What ``run.json`` must have; the rest of it passes."""

    device: str
    device_name: str
    precision: str
    train_seconds: Annotated[float, Field(ge=0)]
    total_seconds: Annotated[float, Field(ge=0)]
    ended: Annotated[float, Field(ge=0)] | None = None  # seconds since 1970; older cells do not say


def _sealed(path: Path, kind: type[BaseModel]) -> dict[str, Any]:
    values = read_sealed(path, format=FORMAT, what="cell")
    typed(kind, values, what="damaged cell", where=path)
    return values


def _history(path: Path, metrics: dict[str, Any]) -> pd.DataFrame:
    try:
        table = pd.read_csv(io.BytesIO(_checked(path, metrics)))
    except ValueError as error:  # pandas' own, of all kinds
        raise IntegrityError("wrong table", where=path, expected="CSV", got=error) from error
    check_columns(table, _HISTORY, where=path)
    return table


def _predictions(folder: Path, metrics: dict[str, Any]) -> pd.DataFrame:
    path = folder / PREDICTIONS_FILE
    table = read_table(_checked(path, metrics), rows=metrics["clips"], where=path)
    probabilities: dict[str, Kind] = {name: "a number" for name in table.columns if name.startswith(PROBABILITY)}
    check_columns(table, {"clip": "text", "target": "a whole number", **probabilities}, where=path)
    return table


def _checked(path: Path, metrics: dict[str, Any]) -> bytes:
    """A file's bytes, which must have the digest that the cell's metrics name."""
    return read_checked(path, metrics["sha256"].get(path.name))
