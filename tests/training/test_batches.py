"""Training sees whole batches in the epoch's order; evaluation sees every clip once, in order."""

import pytest
import torch

from specnorm.training import seeds
from specnorm.training.batches import Clips, evaluation_batches, training_batches


def numbered(count: int) -> Clips:
    """Clip i holds the number i, in its spectrogram and as its target."""
    numbers = torch.arange(count)
    return Clips(numbers.float().reshape(-1, 1, 1, 1).expand(-1, 1, 3, 2), numbers, [str(i) for i in range(count)])


@pytest.mark.parametrize(("count", "size", "batches"), [(10, 4, 2), (8, 4, 2), (4, 4, 1), (5, 2, 2), (64, 64, 1)])
def test_training_drops_the_short_rest(count: int, size: int, batches: int) -> None:
    order = seeds.clip_order(count, seed=0, fold=1, epoch=0)
    found = list(training_batches(numbered(count), size, order))
    assert [x.shape for x, _ in found] == [(size, 1, 3, 2)] * batches
    assert torch.cat([y for _, y in found]).tolist() == order[: batches * size].tolist()
    for x, y in found:
        assert torch.equal(x[:, 0, 0, 0].long(), y)  # a spectrogram keeps its own target


def test_no_clip_comes_twice_in_an_epoch_and_the_rest_changes() -> None:
    left_out = set()
    for epoch in range(6):
        order = seeds.clip_order(10, seed=0, fold=1, epoch=epoch)
        seen = torch.cat([y for _, y in training_batches(numbered(10), 4, order)]).tolist()
        assert len(set(seen)) == len(seen) == 8
        left_out |= set(range(10)) - set(seen)
    assert len(left_out) > 2  # otherwise two clips would never be trained on


def test_fewer_clips_than_a_batch_give_none() -> None:
    assert list(training_batches(numbered(3), 4, torch.arange(3))) == []


@pytest.mark.parametrize(("count", "size"), [(10, 4), (8, 4), (9, 4), (3, 64), (1, 1)])
def test_evaluation_keeps_every_clip_in_order(count: int, size: int) -> None:
    found = list(evaluation_batches(numbered(count), size))
    assert torch.cat([y for _, y in found]).tolist() == list(range(count))
    assert torch.cat([x for x, _ in found])[:, 0, 0, 0].long().tolist() == list(range(count))
    assert all(len(y) == size for _, y in found[:-1])


def test_moving_keeps_values_and_names() -> None:
    clips = numbered(3)
    moved = clips.to(torch.device("cpu"))
    assert torch.equal(moved.spectrograms, clips.spectrograms)
    assert moved.names == clips.names
    assert len(moved) == 3
