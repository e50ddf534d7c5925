"""The schedule and the optimiser are the published ones, number by number."""

import pytest
import torch
from torch import Tensor, nn

from specnorm.training import recipe
from specnorm.training.model import Model
from specnorm.training.xresnet import xresnet18


@pytest.mark.parametrize(
    ("step", "rate", "momentum"),
    [(0, 4e-5, 0.95), (1, 4.0152e-5, None), (124, 9.99848e-4, None), (125, 1e-3, 0.85), (499, 2.7545e-8, 0.9499982)],
)
def test_published_values_at_500_steps(step: int, rate: float, momentum: float | None) -> None:
    found = recipe.one_cycle(step, 500, 1e-3)
    # The figures are given to five digits: half a unit of the last one is at most 2e-5 of the value.
    assert found.learning_rate == pytest.approx(rate, rel=2e-5)
    if momentum is not None:
        assert found.momentum == pytest.approx(momentum, abs=1e-7)


def test_rate_rises_then_falls_and_momentum_does_the_opposite() -> None:
    steps = [recipe.one_cycle(step, 80, 0.1) for step in range(80)]
    rates = [step.learning_rate for step in steps]
    momenta = [step.momentum for step in steps]
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert momenta[:21] == sorted(momenta[:21], reverse=True)
    assert momenta[20:] == sorted(momenta[20:])


@pytest.mark.parametrize("step", [-1, 10])
def test_a_step_outside_the_run_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        recipe.one_cycle(step, 10, 1e-3)


def test_weights_decay_and_norms_and_biases_do_not() -> None:
    network = xresnet18(50, generator=torch.Generator().manual_seed(0))
    decayed, free = recipe.optimizer(Model(nn.Identity(), network), 0.01).param_groups
    assert (len(decayed["params"]), decayed["weight_decay"]) == (23, 0.01)
    assert (len(free["params"]), free["weight_decay"]) == (45, 0.0)
    assert all(parameter.ndim > 1 for parameter in decayed["params"])


class Learned(nn.Module):
    """A normaliser with parameters of several shapes, and one named like a network's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.exponent = nn.Parameter(torch.full((), 0.5))
        self.scale = nn.Parameter(torch.ones(33, 1))
        self.mix = nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.scale * x) * self.exponent


def test_what_a_normaliser_trains_does_not_decay() -> None:
    """A regression: an exponent or a time constant was pulled towards zero, like a weight."""
    model = Model(Learned(), xresnet18(2, generator=torch.Generator()))
    groups = recipe.optimizer(model, 0.01).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(23, 0.01), (45, 0.0), (4, 0.0)]
    own = {id(parameter) for parameter in model.normalizer.parameters()}
    assert {id(parameter) for parameter in groups[2]["params"]} == own
    every = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(every) == sorted(id(parameter) for parameter in model.parameters())  # each once


def test_one_step_is_adamw_by_hand() -> None:
    layer = torch.nn.Linear(1, 1, bias=False).double()
    torch.nn.init.constant_(layer.weight, 2.0)
    optimizer = recipe.optimizer(Model(nn.Identity(), layer), 0.1)
    weight, first, second = 2.0, 0.0, 0.0
    for count, (gradient, momentum) in enumerate([(3.0, 0.9), (-1.0, 0.8)], start=1):
        recipe.apply(recipe.Step(0.01, momentum), optimizer)
        layer.weight.grad = torch.full_like(layer.weight, gradient)
        optimizer.step()
        # Decoupled decay first; then Adam with the current momentum in its bias correction.
        weight *= 1 - 0.01 * 0.1
        first = momentum * first + (1 - momentum) * gradient
        second = 0.99 * second + 0.01 * gradient**2
        corrected = (second / (1 - 0.99**count)) ** 0.5
        weight -= 0.01 * first / (1 - momentum**count) / (corrected + 1e-5)
    assert layer.weight.item() == pytest.approx(weight, rel=1e-12)  # float64 rounding
