"""Batch normalisation after few steps evaluates with the training set's own statistics."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from specnorm.training import batch_norm, loop
from specnorm.training.batches import Resident
from specnorm.training.model import Model
from tests.training import small


@pytest.fixture
def model() -> Model:
    """A trained one, whose running statistics are still half of their start."""
    torch.manual_seed(0)
    return Model(nn.Identity(), nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.LazyLinear(3))).eval()


def test_the_statistics_are_the_training_sets_and_the_weights_stay(model: Model) -> None:
    clips = small.make_clips(24, 3)
    batches = Resident(clips, torch.device("cpu"))
    model(batches.spectrograms)
    layer = model.network[0]  # type: ignore[index]
    before = copy.deepcopy(dict(model.named_parameters()))
    batch_norm.recompute(model, batches, 8)
    assert layer.running_mean.item() == pytest.approx(batches.spectrograms.mean().item(), rel=1e-5)
    inside = torch.stack([part.var() for part in torch.split(batches.spectrograms, 8)]).mean()
    assert layer.running_var.item() == pytest.approx(inside.item(), rel=1e-5)
    assert all(torch.equal(before[name], value) for name, value in model.named_parameters())
    assert not model.training
    assert layer.momentum == 0.1  # as it was, for whoever trains on


@pytest.mark.parametrize(("epochs", "said"), [(2, "recomputed"), (batch_norm.FEW_STEPS, "running")])
def test_after_few_steps_they_are_recomputed_and_the_cell_says_so(
    epochs: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("specnorm.training.model.xresnet18", small.small_network)
    calls: list[int] = []
    monkeypatch.setattr(loop.batch_norm, "recompute", lambda model, batches, size: calls.append(size))
    assert small.run(epochs=epochs).batch_norm == said
    assert len(calls) == (said == "recomputed")
