"""Shards and cells with made-up numbers: what the comparison and the tracking read, without any training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import nn

from specnorm import params
from specnorm.comparison.document import Document
from specnorm.comparison.traits import Traits
from specnorm.files import sha256_file
from specnorm.normalization import fitted
from specnorm.params import WAVEFORMS, CompareParams
from specnorm.shards.store import Shards, open_shards
from specnorm.shards.writer import write_index, write_part
from specnorm.training import cells
from specnorm.training.batches import Clips
from specnorm.training.cells import StoredCell
from specnorm.training.loop import Result
from specnorm.training.model import Model
from stages import download, normalizers, source, spectrograms, statistics

ROOT = Path(__file__).parents[1]
MODES = ("none", "waveform", "global", "channel")
FOLDS = (1, 2, 3)
CLASSES = ("cat", "dog", "rain")
PER_FOLD = 7  # clips

TRAITS = {
    "none": Traits(0, "identity", "raw", "identity"),
    "waveform": Traits(0, "identity", "standardized", "identity"),
    "global": Traits(20, "standardize", "standardized", "global"),
    "channel": Traits(30, "standardize", "standardized", "channel"),
}

METRICS = ("accuracy", "f1_macro", "log_loss", "calibration_error")

Change = Callable[[dict[str, Any]], None]


def compare_params(baseline: str = "none") -> CompareParams:
    """Of a comparison that accepts whole folds only."""
    return CompareParams(baseline=baseline, incomplete_folds="refuse", margin=0.01, sure=0.8, sounds=0)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Be in a folder that no outer pipeline owns, as a stage is; for fixtures of more than one test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("DVC_ROOT", raising=False)
        yield


def write_shards(folder: Path, *, dataset: str = "the clips") -> Shards:
    """Three folds of seven clips [1, 2, 2] in three classes."""
    rows = [
        {
            "clip": f"{fold}-{row}.wav",
            "fold": fold,
            "target": row % 3,
            "label": CLASSES[row % 3],
            "source": f"recording {fold}-{row // 2}",
            "row": row,
        }
        for fold in FOLDS
        for row in range(PER_FOLD)
    ]
    one = np.zeros((1, 2, 2), np.float32)
    entries: dict[str, Any] = {}
    for fold in FOLDS:
        entries |= write_part(folder, fold, PER_FOLD, 2, 2, [dict.fromkeys(WAVEFORMS, one)] * PER_FOLD)
    write_index(folder, pd.DataFrame(rows), entries, front_end={"amin": 1e-10}, dataset={"digest": dataset})
    return open_shards(folder)


def result(
    targets: np.ndarray,
    right: int,
    *,
    seed: int = 0,
    epochs: int = 2,
    classes: int | None = None,
    normalizer: nn.Module | None = None,
) -> Result:
    """Probabilities that get the first ``right`` clips right and the others wrong."""
    generator = np.random.default_rng(seed)
    classes = int(targets.max()) + 1 if classes is None else classes
    predicted = np.where(np.arange(len(targets)) < right, targets, (targets + 1) % classes)
    scores = generator.random((len(targets), classes)) * 0.5 + np.eye(classes)[predicted]
    probabilities = torch.from_numpy(scores / scores.sum(axis=1, keepdims=True)).float()
    history = [
        {
            "epoch": epoch + 1,
            "learning_rate": 1e-3 / 3 / (epoch + 1),
            "train_loss": float(generator.random()),
            "valid_loss": float(generator.random()),
            "valid_accuracy": right / len(targets),
        }
        for epoch in range(epochs)
    ]
    model = Model(normalizer or nn.Identity(), nn.Linear(1, 1))
    return Result(model, history, probabilities, [0.5] * epochs, "resident", "running")


def write_cell(
    folder: Path,
    shards: Shards,
    norm: str,
    fold: int,
    seed: int = 0,
    *,
    right: int = 5,
    epochs: int = 2,
    trained: nn.Module | None = None,
    **identity: Any,
) -> StoredCell:
    """One cell below ``folder``.

    Args:
        folder: of all cells.
        shards: the cell's.
        norm: with ``fold`` and ``seed``, its key.
        fold: see there.
        seed: see there.
        right: how many clips it gets right.
        epochs: how long it was trained.
        trained: its normaliser; one without a state where none is given.
        **identity: overrides what it says it was computed from.
    """
    table = shards.of_fold(fold)
    targets = table["target"].to_numpy()
    origin = {
        "norm": norm,
        "fold": fold,
        "seed": seed,
        "dataset": shards.dataset_digest,
        "front_end": shards.front_end_fingerprint,
        "normalizer": f"normaliser of {norm} {fold}",
        "model": {"name": "xresnet18", "stem_init": "published"},
        "train": {"epochs": epochs},
        **identity,
    }
    run = {
        "device": "cpu",
        "device_name": "a CPU",
        "precision": "fp32",
        "train_seconds": 1.5,
        "total_seconds": 2.0,
        "threads": 1,
        "torch": "2.11.0",
        "python": "3.11.7",
    }
    nothing = np.zeros((len(targets), 1, 2, 2), np.float32)
    clips = Clips((nothing,), torch.from_numpy(targets.copy()), list(table["clip"]))
    place = folder / norm / f"fold-{fold}" / f"seed-{seed}"
    made = result(
        targets, right, seed=100 * fold + seed, epochs=epochs, classes=len(shards.classes), normalizer=trained
    )
    cells.write(place, made, clips, origin, run)
    return cells.read(place)


def write_cells(folder: Path, shards: Shards, modes: tuple[str, ...] = MODES) -> list[StoredCell]:
    """A cell a mode and fold; the fold and the mode decide how many clips are right."""
    return [
        write_cell(folder, shards, norm, fold, right=(2 * fold + 3 * MODES.index(norm)) % PER_FOLD)
        for norm in modes
        for fold in FOLDS
    ]


def write_workspace(folder: Path, modes: tuple[str, ...] = MODES) -> list[StoredCell]:
    """What the comparison reads: :func:`fit_modes`, and made-up cells."""
    shards = fit_modes(folder, modes)
    return [
        write_fitting_cell(folder, shards, norm, fold, right=20 + (5 * fold + 9 * modes.index(norm)) % 20)
        for norm in modes
        for fold in FOLDS
    ]


def write_fitting_cell(folder: Path, shards: Shards, norm: str, fold: int, *, right: int) -> StoredCell:
    """A cell as the workspace's parameters ask for it, made with the fitted mode that lies there."""
    asked, mode = params.load(folder / "params.yaml"), folder / f"data/normalizers/{norm}/fold-{fold}.json"
    return write_cell(
        folder / "data/cells",
        shards,
        norm,
        fold,
        right=right,
        epochs=asked.train.epochs,
        trained=fitted.read(mode).build(),
        normalizer=sha256_file(mode),
        model=asked.model.model_dump(),
        train=asked.train.model_dump(exclude={"memory_gb"}),
    )


def fit_modes(folder: Path, modes: tuple[str, ...] = MODES) -> Shards:
    """A tiny data set through the real stages up to the fitted modes; the working directory must be ``folder``."""

    def tiny(values: dict[str, Any]) -> None:
        values["dataset"] = {
            "kind": "synthetic",
            "name": None,
            "sources": 2,
            "clips": 2,
            "folds": len(FOLDS),
            "sample_rate": 8000,
            "clip_seconds": 0.25,
            "seed": 0,
        }
        values["spectrogram"] |= {"sample_rate": 8000, "clip_seconds": 0.25, "n_fft": 64, "win_length": 64}
        values["spectrogram"] |= {"hop_length": 100}
        values["train"]["epochs"] = 2
        values["norm"] = {mode: yaml.safe_load((ROOT / f"conf/norm/{mode}.yaml").read_text()) for mode in modes}

    write_params(folder / "params.yaml", tiny)
    for stage in (source, download, spectrograms, statistics):
        assert stage.main([]) == 0
    for mode in modes:
        assert normalizers.main(["--norm", mode]) == 0
    return open_shards(folder / "data/spectrograms")


def document(
    modes: dict[str, dict[str, Any]], *, decided: str | None = None, state: str = "decided", **changes: Any
) -> Document:
    """A verdict's document that says nothing of note.

    Args:
        modes: by name, what differs from three cells whose every figure is a half.
        decided: the mode to use, the first one if not given.
        state: of the decision.
        **changes: to the document's other fields.
    """
    half = {"mean": 0.5, "low": 0.375, "high": 0.625, "deviation": 0.125}
    figures = dict.fromkeys(METRICS, half)
    zero = {"difference": 0.0, "low": -0.125, "high": 0.125}
    no_difference = dict.fromkeys(METRICS, zero)
    p_values = dict.fromkeys(("p", "p_adjusted", "p_same_networks", "p_corrected_t"), 1.0)
    names = list(modes)
    chosen = decided or names[0]
    own = {"near": 0.5, "shortfall": 0.01, "calibration_floor": 0.25}
    values = {
        "title": "Recipe default: 21 clips",
        "dataset": {"digest": "0123456789abcdef" * 4, "clips": 21, "classes": CLASSES, "recordings": 9},
        "design": {
            "folds": FOLDS,
            "seeds": (0,),
            "held_out_clips": 21,
            "groups": "source recordings",
            "draws": 100,
            "level": 0.95,
            "power": 0.8,
            "calibration_bins": 15,
            "chance": 0.375,
        },
        "sampling": {
            "recordings": 0.001,
            "flips": None,
            "runs": 0.0005,
            "inflation": 1.5,
            "freedom": 9.0,
            "declared_pairs": max(len(names) - 1, 0),
        },
        "baseline": names[0],
        "decision": {
            "state": state,
            "mode": None if state == "nothing learned" else chosen,
            "sentence": f"Use {chosen}: it is the simplest mode" if state == "decided" else f"This is {state}",
            "margin": 0.01,
            "sure": 0.8,
            "population": None,
            "outlook": None,
        },
        "caveat": None,
        "modes": tuple(
            {"norm": name, "cells": 3, "sha256": "", **own, **figures, **changed} for name, changed in modes.items()
        ),
        "pairs": tuple(
            {
                "one": other,
                "other": one,
                "sentence": f"{other} and {one} are not distinguishable",
                "declared": True,
                "distinguishable": False,
                "standard_error": 0.0625,
                "only_one_right": 1,
                "only_other_right": 1,
                "detectable": 0.25,
                **no_difference,
                **p_values,
            }
            for index, one in enumerate(names)
            for other in names[index + 1 :]
        ),
        "noop": {"clips": 14, "fold": 1, "border_share": None, "effects": ()},
    }
    return Document.model_validate(values | changes)


def change_params(folder: Path, **sections: dict[str, Any]) -> None:
    """Change values of a workspace's parameters; ``norm`` is replaced as a whole."""
    values = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    for name, changes in sections.items():
        values[name] = changes if name == "norm" else {**values[name], **changes}
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def write_params(path: Path, change: Change = lambda _: None) -> dict[str, Any]:
    """The repository's parameters with three folds, changed by ``change``; returns them."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["protocol"] = {"folds": list(FOLDS), "seeds": [0]}
    change(values)
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return values
