"""What a GPU gives: `make bench-gpu`. Training in every variant, a whole comparison through DVC, and repeatability.

Nothing is downloaded: the clips are generated. Each of `--parts` can be run by itself, where time is short.
`--device cpu --sources 1 --batch 4 --epochs 1 --rounds 1 --warm-up 1 --steps 1` tries the script without a GPU.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.__main__ import beside_training, head
from benchmarks.measure import Figures, in_turns
from benchmarks.trainers import BATCH, MODE
from benchmarks.workspace import Workspace, copy_of_repository
from pipeline import places
from specnorm.training import cells
from specnorm.training.key import CellKey

GFLOP_A_SAMPLE = 21.0  # a step's forward and backward pass at [1, 201, 401]: three times 3.5 GMAC
CELL_STEPS = 500
TRAINERS = {
    "ours, bf16": ("ours", "bf16", "eager"),
    "ours, bf16, cuDNN tuned": ("ours", "bf16", "tuned"),
    "ours, bf16, compiled": ("ours", "bf16", "compiled"),
    "ours, bf16, CUDA graphs": ("ours", "bf16", "graphs"),
    "ours, fp32": ("ours", "fp32", "eager"),
    "fastai, fp32": ("fastai", "fp32", "eager"),
    "notebook, fp32": ("notebook", "fp32", "eager"),
}
PARTS = ("training", "comparison", "overhead", "repeatability")  # the most wanted first


def matrix_product_tflops(
    device: torch.device, size: int, repeats: int = 20, dtype: torch.dtype = torch.bfloat16
) -> float:
    """Measured rate of a matrix product, 2 size^3 operations each."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

    def run(times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            torch.mm(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    run(3)
    return 2 * size**3 * repeats / run(repeats) / 1e12


def training(
    workspace: Workspace, name: str, rounds: int, steps: list[str], trainers: list[str], batch: int = BATCH
) -> list[str]:
    """Samples per second, and the seconds of a cell of 500 steps with its start, compilation included."""
    start: dict[str, list[float]] = {label: [] for label in trainers}
    memory: dict[str, float] = {}
    failed: dict[str, str] = {}

    def measure(label: str) -> float:
        trainer, precision, variant = TRAINERS[label]
        if label in failed:
            return math.nan
        options = ("--device", name, "--precision", precision, "--variant", variant, "--batch", str(batch))
        try:
            found = workspace.asked("benchmarks.trainers", trainer, *options, *steps)
        except RuntimeError as error:  # a variant that this machine cannot run costs its own row alone
            failed[label] = str(error).strip().splitlines()[-1]
            return math.nan
        start[label].append(found["wall_seconds"] - found["timed_seconds"])
        memory[label] = found.get("peak_device_memory_mb", found["peak_memory_mb"])
        return float(found["samples_per_second"])

    found = in_turns({label: (lambda label=label: measure(label)) for label in trainers}, rounds)
    device = torch.device(name)
    peak = matrix_product_tflops(device, 8192 if device.type == "cuda" else 2048)
    others = [label for label in ("fastai, fp32", "notebook, fp32") if label in found and label not in failed]
    titles = ["trainer", "samples/s", *(f"over {label}" for label in others), f"share of {peak:.3g} TFLOP/s"]
    titles += [f"start and {CELL_STEPS} steps, s", "peak memory, MB"]
    lines = [f"## Training at [1, 201, 401], batch {batch}", f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for label, figures in found.items():
        if label in failed:
            continue
        values = [label, figures.text(), *(figures.over(found[other]).text() for other in others)]
        values.append(f"{figures.median * GFLOP_A_SAMPLE / 1e3 / peak:.1%}")
        values.append(f"{Figures(start[label]).median + CELL_STEPS * batch / figures.median:.1f}")
        lines.append(f"| {' | '.join([*values, f'{memory[label]:.0f}'])} |")
    lines += ["", f"n = {rounds} rounds, each in a fresh process, whose start and warm-up count as the start."]
    lines += [f"The share is of a bf16 matrix product's rate here, at {GFLOP_A_SAMPLE:g} GFLOP a sample and step."]
    return [*lines, *(f"**{label} failed:** `{words}`" for label, words in failed.items())]


def repeatability(workspace: Workspace) -> list[str]:
    """How far two runs of one cell are apart."""

    def run() -> NDArray[np.float64]:
        workspace.clear("data/cells")
        workspace.run("stages.train", "--norm", "global", "--fold", "1", "--seed", "0")
        return cells.read(workspace.root / places.cell_folder(CellKey("global", 1, 0))).probabilities

    one, other = run(), run()
    changed = int((one.argmax(1) != other.argmax(1)).sum())
    return [
        "## The same cell twice",
        f"Largest difference of a probability {abs(one - other).max():.3g}; {changed} of {len(one)} clips get another "
        "class (n = 1 pair).",
    ]


def overhead(workspace: Workspace, rounds: int) -> list[str]:
    """The seconds of a cell that are not training."""
    figures = Figures([beside_training(workspace) for _ in range(rounds)])
    return ["## A cell's process less its epochs", f"{figures.text()} s (n = {rounds})."]


def comparison(workspace: Workspace, jobs: int) -> list[str]:
    """All cells of the four modes through DVC, spectrograms and statistics made before."""
    workspace.clear("data/cells")
    scaled = ("pipeline.scale", "run", "train", "executor=ray", f"executor.jobs={jobs}")
    command = scaled if jobs > 1 else ("dvc", "repro")
    return [f"## All 20 cells through DVC, {jobs} at a time", f"{workspace.seconds(*command):.0f} s (n = 1)."]


def main(argv: list[str] | None = None) -> int:
    """Measure, and write the report after each part: what was measured is not lost when time runs out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sources", type=int, default=40, help="generated clips a class and fold")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--steps", type=int, default=19)
    parser.add_argument("--batch", type=int, default=BATCH, help="clips a step")
    parser.add_argument("--jobs", type=int, default=1, help="cells at a time in the whole comparison")
    parser.add_argument("--only", nargs="+", default=list(TRAINERS), choices=TRAINERS, help="trainers")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks-gpu.md"))
    parsed = parser.parse_args(argv)
    steps = ["--warm-up", str(parsed.warm_up), "--steps", str(parsed.steps)]
    parts: dict[str, Callable[[Workspace], list[str]]] = {
        "training": lambda workspace: training(
            workspace, parsed.device, parsed.rounds, steps, parsed.only, parsed.batch
        ),
        "comparison": lambda workspace: comparison(workspace, parsed.jobs),
        "overhead": lambda workspace: overhead(workspace, parsed.rounds),
        "repeatability": repeatability,
    }
    report = [head(parsed.device, data=f"{parsed.sources * 50} generated clips")]
    with tempfile.TemporaryDirectory(prefix="specnorm-bench-") as folder:
        workspace = copy_of_repository(Path(folder) / "full")
        workspace.compose(
            "dataset=synthetic",
            "dataset.sample_rate=44100",
            f"dataset.sources={parsed.sources}",
            f"train.device={parsed.device}",
            f"train.epochs={parsed.epochs}",
            f"train.batch_size={parsed.batch}",
            *([] if "comparison" in parsed.parts else [f"norm={MODE}"]),  # the only mode that the other parts train
        )
        workspace.run("dvc", "repro", "normalizers")
        for name in parsed.parts:
            report.append(parts[name](workspace))
            parsed.out.write_text("\n\n".join("\n".join(part) for part in report) + "\n", encoding="utf-8")
            print(f"{name} written to {parsed.out}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
