"""How near the training comes to what this CPU can do, where the rest goes, and what was tried: docs/benchmarks.md.

`python -m benchmarks.limit` trains the network on noise of the default shape and prints Markdown. Variants take turns.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.__main__ import machine
from benchmarks.gpu import GFLOP_A_SAMPLE, matrix_product_tflops
from benchmarks.measure import in_turns
from specnorm.params import ModelParams
from specnorm.training import device, loop, memory, recipe
from specnorm.training.model import Model, initial_network

_SHAPE = (1, 201, 401)
_BATCH, _CLASSES, _SIZE = 64, 50, 2048
# Operators by what they do; the first that an operator's name holds counts.
_KINDS = {
    "convolution": "convolutions",
    "mkldnn": "convolutions",
    "batch_norm": "batch normalisation",
    "threshold": "ReLU",
    "clamp_min": "ReLU",
    "pool": "pooling",
    "adam": "optimiser",
    "add": "sums of shortcuts and gradients",
    "copy_": "conversions and copies",
    "to_copy": "conversions and copies",
}

Change = Callable[[nn.Module], nn.Module]


class Step:
    """Training steps on the same noise."""

    def __init__(self, precision: str, batch: int, change: Change) -> None:
        network = initial_network(
            ModelParams(name="xresnet18", stem_init="published"), classes=_CLASSES, seed=0, fold=1
        )
        network = change(network.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
        self.model = Model(nn.Identity(), network)
        self.optimizer = recipe.optimizer(self.model, 0.01)
        self.choice = device.choose("cpu", precision)
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn((batch, *_SHAPE), generator=generator)
        self.y = torch.randint(0, _CLASSES, (batch,), generator=generator)

    def take(self, steps: int) -> float:
        """Samples a second."""
        started = time.perf_counter()
        schedule = [recipe.one_cycle(step, steps, 1e-3) for step in range(steps)]
        loop.train_epoch(self.model, self.optimizer, iter([(self.x, self.y)] * steps), schedule, self.choice)
        return steps * len(self.y) / (time.perf_counter() - started)


def _contiguous(network: nn.Module) -> nn.Module:
    return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, no-any-return]


def _compiled(network: nn.Module) -> nn.Module:
    found: nn.Module = torch.compile(network)  # type: ignore[assignment]
    return found


def _average_pooled(network: nn.Module) -> nn.Module:
    """Another network, to see what its pooling costs."""
    for name, module in network.named_children():
        if isinstance(module, nn.MaxPool2d):
            setattr(network, name, nn.AvgPool2d(3, stride=2, padding=1))
    return network


def _as_it_is(network: nn.Module) -> nn.Module:
    return network


VARIANTS: dict[str, tuple[int, Change]] = {
    "as it is: batch 64, channels last": (_BATCH, _as_it_is),
    "batch 32": (_BATCH // 2, _as_it_is),
    "batch 128": (_BATCH * 2, _as_it_is),
    "channels first": (_BATCH, _contiguous),
    "compiled, which fuses BatchNorm and ReLU": (_BATCH, _compiled),
    "mean instead of maximum in the stem's pooling (another network)": (_BATCH, _average_pooled),
}


def tried(precision: str, rounds: int, steps: int) -> list[str]:
    """A row a variant: samples a second, over the default, and the share of a matrix product's rate."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    peak = 1e3 * max(matrix_product_tflops(torch.device("cpu"), _SIZE, 5, dtype) for _ in range(3))
    subjects: dict[str, Callable[[], float]] = {}
    failed: dict[str, str] = {}
    for name, (batch, change) in VARIANTS.items():
        step = Step(precision, batch, change)
        try:
            step.take(1)  # what is compiled, is compiled here
        except Exception as error:  # a variant that this machine cannot run costs its own row alone
            failed[name] = f"{error}".strip().splitlines()[0]
            continue
        subjects[name] = lambda step=step: step.take(steps)  # type: ignore[misc]
    found = in_turns(subjects, rounds)
    first = next(iter(found.values()))
    lines = [
        f"### {precision}: a matrix product of {_SIZE} x {_SIZE} runs at {peak:.0f} GFLOP/s",
        f"| variant | samples/s | over the first | share of {peak:.0f} GFLOP/s |",
        "|---|---|---|--:|",
    ]
    lines += [
        f"| {name} | {figures.text()} | {figures.over(first).text()} | {figures.median * GFLOP_A_SAMPLE / peak:.0%} |"
        for name, figures in found.items()
    ]
    return [*lines, *(f"| {name} | fails: {words} | | |" for name, words in failed.items())]


def spent(precision: str, steps: int) -> list[str]:
    """Where a step's time goes, by kinds of operators."""
    step = Step(precision, _BATCH, _as_it_is)
    step.take(1)
    with profile(activities=[ProfilerActivity.CPU]) as told:
        step.take(steps)
    seconds: dict[str, float] = defaultdict(float)
    for event in told.key_averages():
        kind = next((kind for part, kind in _KINDS.items() if part in event.key.lower()), "everything else")
        seconds[kind] += event.self_cpu_time_total / 1e6
    whole = sum(seconds.values())
    parts = sorted(seconds.items(), key=lambda item: -item[1])
    return [f"{precision}: " + ", ".join(f"{kind} {share / whole:.0%}" for kind, share in parts) + "."]


def main(argv: list[str] | None = None) -> int:
    """Print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limit", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--precisions", nargs="+", default=["bf16", "fp32"], choices=["bf16", "fp32"])
    asked = parser.parse_args(argv)
    memory.keep_freed()
    print(f"{machine()}; n = {asked.rounds} rounds of {asked.steps} steps, median (least to most)", flush=True)
    for precision in asked.precisions:
        print("\n".join([*tried(precision, asked.rounds, asked.steps), "", *spent(precision, asked.steps)]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
