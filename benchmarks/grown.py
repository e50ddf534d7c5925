"""Data sets, workspaces and cells of any size, made up but in the pipeline's own files, for `benchmarks.growth`.

In a workspace, `python -m benchmarks.grown cells` writes the cells that its parameters name, and `collect PLAN` brings
home what the first cell of a plan left, as if it were every cell's, and tells the CPU seconds that took.
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.workspace import Workspace, copy_of_repository
from pipeline import finished, options, places, progress
from pipeline.scale import collect, left
from pipeline.scale.plan import Plan
from specnorm.normalization import fitted
from specnorm.params import Params
from specnorm.training import cells
from specnorm.training.loop import Result
from specnorm.training.model import Model

_RATE, _SAMPLES = 8000, 800
_SHORT = (
    "spectrogram=mel",
    f"spectrogram.sample_rate={_RATE}",
    f"spectrogram.clip_seconds={_SAMPLES / _RATE}",
    "spectrogram.n_fft=256",
    "spectrogram.win_length=256",
    "spectrogram.n_mels=16",
    "spectrogram.f_min=100.0",
    "train.epochs=1",
    "train.batch_size=8",
    "compare.incomplete_folds=accept",
)
# A stage that costs nothing, so that what is measured is what is around it.
_NOTHING = """
import argparse, pathlib
parser = argparse.ArgumentParser()
for name in ("norm", "fold", "seed"):
    parser.add_argument(f"--{name}")
parser.add_argument("--unless-marked", action="store_true")
a = parser.parse_args()
out = pathlib.Path("data/cells", a.norm, f"fold-{a.fold}", f"seed-{a.seed}") if a.norm else pathlib.Path(OUT)
out.mkdir(parents=True, exist_ok=True)
(out / "accuracy.json").write_text("{}")
"""


def write_clips(folder: Path, clips: int, classes: int) -> None:
    """Write short WAVs of noise, a sub-folder a class."""
    noise = np.random.default_rng(0).integers(-8000, 8000, 50_000 + _SAMPLES, np.int16)
    sound = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, 2 * _RATE, 2, 16)
    head = struct.pack("<4sI4s", b"RIFF", 36 + 2 * _SAMPLES, b"WAVE") + sound
    head += struct.pack("<4sI", b"data", 2 * _SAMPLES)
    for target in range(classes):
        (folder / f"class-{target:03}").mkdir(parents=True, exist_ok=True)
    for number in range(clips):
        start = number * 7919 % 50_000
        data = (noise[start : start + _SAMPLES] ^ np.int16(number % 97)).astype("<i2").tobytes()
        (folder / f"class-{number % classes:03}" / f"clip-{number:07}.wav").write_bytes(head + data)


def workspace(root: Path, clips: int, classes: int, *overrides: str) -> Workspace:
    """A copy of the working tree whose parameters name a folder of such clips."""
    write_clips(root / "clips", clips, classes)
    made = copy_of_repository(root / "copy")
    for words in ("add -A", "-c user.name=bench -c user.email=bench@localhost commit -qm copy"):
        subprocess.run(["git", *words.split()], cwd=made.root, check=True)
    made.compose(*of(root), *overrides)
    return made


def of(root: Path) -> tuple[str, ...]:
    """The overrides that name the clips of a workspace."""
    return ("dataset=folder", f"dataset.source={root / 'clips'}", *_SHORT)


def params_of(made: Workspace) -> Params:
    """A workspace's parameters."""
    return options.load(made.root / "params.yaml", made.root / "conf")


def modes(count: int) -> list[str]:
    """Overrides for so many modes: the four that are compared unasked, and the same kind again and again."""
    return [f"+norm.mode{number:02}={{kind: global, waveform: raw}}" for number in range(4, count)]


def without_work(made: Workspace) -> None:
    """Let a workspace's stages behind the fitted modes do nothing."""
    for stage, out in (("train", ""), ("compare", "data/comparison"), ("track", ".cache/track")):
        (made.root / f"stages/{stage}.py").write_text(_NOTHING.replace("OUT", repr(out)))


def write_cells() -> None:
    """Write the cells of the parameters in the working directory: right by chance, some modes more than others."""
    params = _params()
    shards = finished.shards(params)
    names = list(params.norm)
    for key in progress.keys(params):
        generator = np.random.default_rng([names.index(key.norm), key.fold, key.seed])
        held_out = cells.clips_of(shards, params.norm[key.norm].waveform, [key.fold])
        targets, classes = held_out.targets.numpy(), len(shards.classes)
        hit = generator.random(len(targets)) < 0.6 + 0.02 * (names.index(key.norm) % 8)
        predicted = np.where(hit, targets, (targets + generator.integers(1, classes, len(targets))) % classes)
        scores = generator.random((len(targets), classes), np.float32) * (0.5 / classes)
        scores[np.arange(len(targets)), predicted] += generator.random(len(targets), np.float32)
        probabilities = torch.from_numpy(scores / scores.sum(axis=1, keepdims=True))
        accuracy = float((probabilities.argmax(1) == held_out.targets).double().mean())
        row = {"epoch": 1.0, "learning_rate": 1e-3, "train_loss": 1.0, "valid_loss": 1.0, "valid_accuracy": accuracy}
        mode = fitted.read(places.normalizer_path(key.norm, key.fold)).build()
        made = Result(Model(mode, nn.Linear(1, 1)), [row], probabilities, [0.1], "resident", "running")
        run = dict.fromkeys(("device_name", "torch", "python"), "") | {"device": "cpu", "precision": "fp32"}
        run |= {"train_seconds": 1.0, "total_seconds": 2.0, "threads": 1}
        origin = finished.origin(params, key, dataset=shards.dataset_digest)
        cells.write(places.cell_folder(key), made, held_out, origin, run)


def collect_all(path: Path) -> float:
    """Bring every cell of a plan home; returns the CPU seconds.

    Cells of :func:`without_work` are equal, so that one's entry is each one's but for its names.
    """
    planned = Plan.read(path)
    keys = {f"{places.maker(places.cell_folder(key))}": key for key in progress.keys(_params())}
    ((done, (entry,)),) = left.entries(planned).items()
    entries = {
        name: [{**work.entry, "outs": [{**entry["outs"][0], "path": str(places.cell_folder(keys[name]))}]}]
        for name, work in planned.work.items()
    }
    assert entries[done] == [entry]
    before = time.process_time()
    found = collect.collect(planned, entries)
    assert len(found.accepted) == len(planned.work)
    return time.process_time() - before


def _params() -> Params:
    return options.load(Path("params.yaml"), Path("conf"))


def main(argv: list[str] | None = None) -> int:
    """Write what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grown", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("cells")
    commands.add_parser("collect").add_argument("plan", type=Path)
    asked = parser.parse_args(argv)
    if asked.what == "cells":
        write_cells()
    else:
        print(json.dumps({"cpu_s": collect_all(asked.plan)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
