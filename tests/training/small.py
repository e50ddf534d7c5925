"""Cells small enough to train in a test: few clips of [1, 33, 32], and a network of two layers where it may be one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from specnorm.params import ModelParams, TrainParams
from specnorm.training import loop
from specnorm.training.batches import Clips
from specnorm.training.checkpoint import Checkpoint
from specnorm.training.device import Choice

BINS, FRAMES = 33, 32
MODEL = ModelParams(name="xresnet18", stem_init="published")
PLAIN = Choice(torch.device("cpu"), None, "a test")


def settings(**changes: object) -> TrainParams:
    values = {"epochs": 3, "batch_size": 4, "learning_rate": 1e-2, "weight_decay": 0.01, "device": "cpu"}
    return TrainParams.model_validate({**values, "precision": "fp32", "memory_gb": None, **changes})


def make_clips(count: int, classes: int = 3, *, seed: int = 0, name: str = "clip") -> Clips:
    """Noise around -40 dB; a clip of class k is 20 dB louder in band k."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % classes
    spectrograms = -40 + 5 * torch.randn(count, 1, BINS, FRAMES, generator=generator)
    width = BINS // classes
    for index, target in enumerate(targets.tolist()):
        spectrograms[index, :, target * width : (target + 1) * width] += 20
    return Clips((spectrograms.numpy(),), targets, [f"{name}-{index}" for index in range(count)])


def make_cell(
    *,
    fold: int = 1,
    seed: int = 0,
    classes: int = 3,
    train: Clips | None = None,
    held_out: Clips | None = None,
    normalizer: Callable[[], nn.Module] = nn.Identity,
) -> loop.Cell:
    return loop.Cell(
        fold=fold,
        seed=seed,
        classes=classes,
        train=train or make_clips(14, classes),
        held_out=held_out or make_clips(5, classes, seed=1, name="held-out"),
        normalizer=normalizer,
    )


def small_network(classes: int, *, generator: torch.Generator, stem_init: str) -> nn.Sequential:
    """In place of xresnet18: the same kinds of layers, a thousandth of the work."""
    network = nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=2, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d((6, 1)),
        nn.Flatten(),
        nn.Linear(36, classes),
    )
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.2, generator=generator)
        elif parameter is network[-1].bias:
            nn.init.zeros_(parameter)
    return network


def run(
    cell: loop.Cell | None = None,
    checkpoint: Checkpoint | None = None,
    choice: Choice = PLAIN,
    report: Callable[[loop.EpochRow], None] | None = None,
    **changes: object,
) -> loop.Result:
    """Train the small cell."""
    return loop.train(cell or make_cell(), MODEL, settings(**changes), choice, checkpoint=checkpoint, report=report)


def state(result: loop.Result) -> dict[str, Tensor]:
    return {**result.model.state_dict(), "probabilities": result.probabilities}


def equal(first: loop.Result, second: loop.Result) -> bool:
    """Bit for bit: weights, buffers, predictions, history."""
    one, other = state(first), state(second)
    same = one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    return same and first.history == second.history
