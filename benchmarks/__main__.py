"""All figures of docs/benchmarks.md in one run on this machine: `make bench`, or `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks.measure import Figures, in_turns
from benchmarks.workspace import Workspace, copy_of_repository
from pipeline import places
from specnorm.training import device, key
from specnorm.training.key import CellKey

TINY = (
    "dataset=synthetic",
    "dataset.sources=2",
    "dataset.clip_seconds=0.5",
    "spectrogram=mel",
    "spectrogram.clip_seconds=0.5",
    "spectrogram.n_mels=16",
    "spectrogram.f_min=100.0",
    "train.epochs=1",
    "train.batch_size=8",
)
NOTES = "## What the figures say\n"
PACKAGES = ("torch", "torchaudio", "fastai", "librosa", "numpy", "dvc")


def training(workspace: Workspace, rounds: int, name: str, steps: list[str]) -> list[str]:
    """(a), (b): samples per second and memory of each trainer, each time in a process of its own."""
    precisions = {"ours, fp32": "fp32", "ours, auto": "auto"}
    peaks: dict[str, float] = {}

    def subject(label: str, trainer: str, precision: str) -> Any:
        def measure() -> float:
            found = workspace.asked("benchmarks.trainers", trainer, "--device", name, "--precision", precision, *steps)
            peaks[label] = max(peaks.get(label, 0.0), found.get("peak_device_memory_mb", found["peak_memory_mb"]))
            return float(found["samples_per_second"])

        return measure

    subjects = {label: subject(label, "ours", precision) for label, precision in precisions.items()}
    subjects |= {label: subject(label, label, "fp32") for label in ("fastai", "notebook")}
    found = in_turns(subjects, rounds)
    lines = [
        "## a, b. Training: samples per second at [1, 201, 401], batch 64",
        "| trainer | samples/s, median (least to most) | over fastai | over the notebook's way | peak memory, MB |",
        "|---|---|---|---|---|",
    ]
    for label, figures in found.items():
        ratios = " | ".join(f"{figures.over(found[other]).text()}" for other in ("fastai", "notebook"))
        lines.append(f"| {label} | {figures.text()} | {ratios} | {peaks[label]:.0f} |")
    chosen = device.choose(name, "auto")
    return [*lines, "", f"auto is {chosen.reason}. n = {rounds} rounds, each subject in a fresh process."]


def front_end(workspace: Workspace, rounds: int) -> list[str]:
    """(c): spectrograms per second."""

    def subject(loop: str) -> Any:
        return lambda: float(workspace.asked("benchmarks.front_end", loop)["spectrograms_per_second"])

    found = in_turns({loop: subject(loop) for loop in ("ours", "torchaudio", "librosa")}, rounds)
    lines = ["## c. Front end: spectrograms per second, read from the zip", "| loop | spectrograms/s | ours over it |"]
    lines.append("|---|---|---|")
    lines += [f"| {loop} | {found[loop].text()} | {found['ours'].over(found[loop]).text()} |" for loop in found]
    return [*lines, "", f"n = {rounds}. Ours makes two a clip, checks, digests and writes them; the loops make one."]


def moments(workspace: Workspace, rounds: int) -> list[str]:
    """(d): the statistics beside reading."""
    found = [
        workspace.asked("benchmarks.moments", *(["--backwards"] if number % 2 else [])) for number in range(rounds)
    ]
    kinds = {kind: Figures([one["seconds"][kind] for one in found]) for kind in found[0]["seconds"]}
    megabytes = float(found[0]["megabytes"])
    read = kinds["read, one thread"]
    lines = [
        f"## d. Statistics of all shards, {megabytes:.0f} MB in the page cache",
        "| work | seconds | GB/s | over the read |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {kind} | {figures.text()} | {megabytes / 1e3 / figures.median:.2g} | {figures.over(read).text()} |"
        for kind, figures in kinds.items()
    ]
    return [*lines, "", f"n = {rounds}. The read copies each shard once through a buffer that stays in the cache."]


def beside_training(workspace: Workspace) -> float:
    """(e): the seconds of a cell's process that are not its epochs'."""
    workspace.clear("data/cells")
    seconds = workspace.seconds("stages.train", "--norm", "global", "--fold", "1", "--seed", "0")
    run = json.loads((workspace.root / places.cell_folder(CellKey("global", 1, 0)) / key.RUN_FILE).read_text())
    return seconds - float(run["train_seconds"])


def overheads(workspace: Workspace, small: Workspace, rounds: int) -> list[str]:
    """(e), (f): what is not training."""
    small.compose(*TINY)
    small.run("dvc", "repro")
    subjects = {
        "e. a cell's process less its epochs": lambda: beside_training(workspace),
        "f. `dvc repro` with nothing to do, 20 cells": lambda: small.seconds("dvc", "repro"),
    }
    lines = ["## e, f. Overheads in seconds", "| what | seconds |", "|---|---|"]
    lines += [f"| {what} | {figures.text()} |" for what, figures in in_turns(subjects, rounds).items()]
    return [*lines, "", f"n = {rounds}. An epoch holds its evaluation."]


def main(argv: list[str] | None = None) -> int:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--source", type=Path, help="ESC-10 as a zip; without it generated clips at 44.1 kHz are used")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="timed training steps a round")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"))
    parsed = parser.parse_args(argv)
    if parsed.source:
        data = ("dataset=esc10", f"dataset.source={parsed.source.resolve()}", "dataset.complete=false")
    else:
        data = ("dataset=synthetic", "dataset.sample_rate=44100")
    with tempfile.TemporaryDirectory(prefix="specnorm-bench-") as folder:
        full, small = (copy_of_repository(Path(folder) / name) for name in ("full", "small"))
        full.compose(*data, "train.epochs=1", f"train.device={parsed.device}")
        full.run("dvc", "repro", "normalizers")
        steps = ["--warm-up", "1", "--steps", str(parsed.steps)]
        parts = [
            moments(full, parsed.rounds),
            front_end(full, parsed.rounds),
            overheads(full, small, parsed.rounds),
            training(full, parsed.rounds, parsed.device, steps),
        ]
    text = "\n\n".join(
        "\n".join(part)
        for part in [head(parsed.device, data="ESC-10, WAV" if parsed.source else "generated clips"), *parts]
    )
    parsed.out.write_text(f"{text}\n{kept(parsed.out)}", encoding="utf-8")
    print(f"written to {parsed.out}")
    return 0


def kept(path: Path) -> str:
    """What was written by hand below the figures of an earlier run, for a person to look over again."""
    _, mark, notes = path.read_text(encoding="utf-8").partition(NOTES) if path.exists() else ("", "", "")
    return f"\n{mark}{notes}" if mark else ""


def installed(package: str) -> str | None:
    """Its version, where it is there: not every figure needs every package."""
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def head(name: str, *, data: str) -> list[str]:
    """Title, machine, versions and data."""
    return [
        "# Benchmarks",
        "",
        f"{machine(name)}. Data: {data}, 44.1 kHz, "
        "5 s; default front end. The subjects of a table take turns, and ratios are formed round by round.",
    ]


def machine(name: str = "cpu") -> str:
    """What figures were measured on, and with which versions."""
    chip = str(torch.cpu.get_capabilities().get("cpu_name") or platform.processor())
    gpu = f", {torch.cuda.get_device_name()}" if name.startswith("cuda") else ""
    memory = psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{package} {version}" for package in PACKAGES if (version := installed(package)))
    return (
        f"{chip}, {os.cpu_count()} cores, {memory:.0f} GiB{gpu}; {platform.system()}, Python "
        f"{platform.python_version()}, {versions}"
    )


if __name__ == "__main__":
    sys.exit(main())
