"""The published recipe: AdamW under a one-cycle schedule (Smith 2018, arXiv:1803.09820, as fastai runs it)."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor, nn, optim

from specnorm.training.model import Model

_INITIAL_DIVISOR = 25.0
_FINAL_DIVISOR = 1e5
_WARM_UP = 0.25  # share of all steps
_MOMENTUM_HIGH = 0.95
_MOMENTUM_LOW = 0.85
_BETA2 = 0.99
_EPS = 1e-5


class Step(NamedTuple):
    """What the optimiser uses at one step."""

    learning_rate: float
    momentum: float  # beta1


def one_cycle(step: int, steps: int, peak: float) -> Step:
    """Learning rate and momentum of step ``step`` (from 0) of ``steps``.

    The rate climbs on a cosine from ``peak / 25`` to ``peak`` in the first quarter of the steps and falls on a cosine
    towards ``peak / 1e5``; the momentum goes 0.95 -> 0.85 -> 0.95. This is not ``torch.optim.lr_scheduler.OneCycleLR``,
    whose final rate is a fraction of the initial one and whose peak comes one step earlier.

    >>> [one_cycle(step, 500, 1e-3).learning_rate for step in (0, 125)]
    [4e-05, 0.001]
    """
    if not 0 <= step < steps:
        raise ValueError(f"step {step} is outside 0..{steps - 1}")
    position = step / steps
    if position < _WARM_UP:
        part = position / _WARM_UP
        return Step(_cosine(peak / _INITIAL_DIVISOR, peak, part), _cosine(_MOMENTUM_HIGH, _MOMENTUM_LOW, part))
    part = (position - _WARM_UP) / (1 - _WARM_UP)
    return Step(_cosine(peak, peak / _FINAL_DIVISOR, part), _cosine(_MOMENTUM_LOW, _MOMENTUM_HIGH, part))


def optimizer(model: Model, weight_decay: float) -> optim.AdamW:
    """AdamW with decoupled decay on the network's weights alone.

    Biases, the parameters of batch normalisation, and whatever a normaliser trains are left free: decay pulls towards
    zero, which is no natural place for a mean in decibels, an exponent or a time constant.
    """
    groups = [{"params": parameters, "weight_decay": weight_decay * decayed} for decayed, parameters in _groups(model)]
    return optim.AdamW(groups, lr=0.0, betas=(_MOMENTUM_HIGH, _BETA2), eps=_EPS, fused=True)


def _groups(model: Model) -> list[tuple[bool, list[nn.Parameter]]]:
    """Parameters by whether they decay: the network's two groups, then the normaliser's where it has any."""
    normalisation = {
        id(parameter)
        for module in model.network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        for parameter in module.parameters(recurse=False)
    }
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.network.named_parameters():
        is_free = id(parameter) in normalisation or name.rpartition(".")[2] == "bias"
        (free if is_free else decayed).append(parameter)
    normalizer = list(model.normalizer.parameters())
    return [(True, decayed), (False, free), *([(False, normalizer)] if normalizer else [])]


def apply(step: Step, to: optim.AdamW) -> None:
    """Set the optimiser's learning rate and momentum for the coming step."""
    for group in to.param_groups:
        group["lr"] = step.learning_rate
        group["betas"] = (step.momentum, _BETA2)


def take(optimizer: optim.AdamW, *, unless: Tensor) -> None:
    """Take the step, or leave weights and state as they are where ``unless`` (float32, no axes) is 1.

    The fused kernel reads the flag on the device; torch's own gradient scaler skips steps in the same way.
    """
    optimizer.found_inf = unless  # type: ignore[attr-defined]
    optimizer.step()


def _cosine(start: float, end: float, part: float) -> float:
    return start + (end - start) * (1 - math.cos(math.pi * part)) / 2
