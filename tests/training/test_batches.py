"""Training sees whole batches in the epoch's order; evaluation sees every clip once, in order; held or read ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specnorm.training import loop, seeds
from specnorm.training.batches import Batches, Clips, Resident, Streamed
from tests.training import small

CPU = torch.device("cpu")
Kind = Callable[[Clips, torch.device], Batches]
both = pytest.mark.parametrize("kind", [Resident, Streamed])


def numbered(*counts: int) -> Clips:
    """Clip i holds the number i, in its spectrogram and as its target; a part for each count."""
    numbers = np.arange(sum(counts))
    spectrograms = np.broadcast_to(numbers.astype(np.float32)[:, None, None, None], (len(numbers), 1, 3, 2))
    parts = tuple(np.split(spectrograms, np.cumsum(counts)[:-1]))
    return Clips(parts, torch.from_numpy(numbers), [str(number) for number in numbers])


@both
@pytest.mark.parametrize(("count", "size", "batches"), [(10, 4, 2), (8, 4, 2), (4, 4, 1), (5, 2, 2), (64, 64, 1)])
def test_training_drops_the_short_rest(kind: Kind, count: int, size: int, batches: int) -> None:
    order = seeds.clip_order(count, seed=0, fold=1, epoch=0)
    found = list(kind(numbered(count), CPU).training(size, order))
    assert [x.shape for x, _ in found] == [(size, 1, 3, 2)] * batches
    assert torch.cat([y for _, y in found]).tolist() == order[: batches * size].tolist()
    for x, y in found:
        assert torch.equal(x[:, 0, 0, 0].long(), y)  # a spectrogram keeps its own target


@both
def test_no_clip_comes_twice_in_an_epoch_and_the_rest_changes(kind: Kind) -> None:
    left_out = set()
    batches = kind(numbered(4, 6), CPU)
    for epoch in range(6):
        order = seeds.clip_order(10, seed=0, fold=1, epoch=epoch)
        seen = torch.cat([y for _, y in batches.training(4, order)]).tolist()
        assert len(set(seen)) == len(seen) == 8
        left_out |= set(range(10)) - set(seen)
    assert len(left_out) > 2  # otherwise two clips would never be trained on


@both
def test_fewer_clips_than_a_batch_give_none(kind: Kind) -> None:
    assert list(kind(numbered(3), CPU).training(4, torch.arange(3))) == []


@both
@pytest.mark.parametrize(("count", "size"), [(10, 4), (8, 4), (9, 4), (3, 64), (1, 1)])
def test_evaluation_keeps_every_clip_in_order(kind: Kind, count: int, size: int) -> None:
    found = list(kind(numbered(count), CPU).evaluation(size))
    assert torch.cat([y for _, y in found]).tolist() == list(range(count))
    assert torch.cat([x for x, _ in found])[:, 0, 0, 0].long().tolist() == list(range(count))
    assert all(len(y) == size for _, y in found[:-1])


@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=5), size=st.integers(1, 12), seed=st.integers(0, 2**31 - 1)
)
def test_read_ahead_gives_the_resident_batches(counts: list[int], size: int, seed: int) -> None:
    clips = numbered(*counts)
    order = seeds.clip_order(len(clips), seed=seed, fold=1, epoch=0)
    held, ahead = Resident(clips, CPU), Streamed(clips, CPU)
    for pairs in (
        list(zip(held.training(size, order), ahead.training(size, order), strict=True)),
        list(zip(held.evaluation(size), ahead.evaluation(size), strict=True)),
    ):
        assert all(torch.equal(a, b) for first, second in pairs for a, b in zip(first, second, strict=True))


def test_a_cell_of_memory_mapped_clips_under_a_small_budget_is_the_resident_cell_bit_for_bit(tmp_path: Path) -> None:
    def mapped(clips: Clips, name: str) -> Clips:
        np.save(tmp_path / name, clips.parts[0])
        array = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
        return Clips((array[:3], array[3:]), clips.targets, clips.names)

    cell = small.make_cell()
    on_disk = small.make_cell(train=mapped(cell.train, "train"), held_out=mapped(cell.held_out, "held-out"))
    whole = cell.train.nbytes + cell.held_out.nbytes
    held = small.run(cell, epochs=2)
    streamed = small.run(on_disk, epochs=2, memory_gb=(whole - 1) / 1e9)
    assert (held.clips, streamed.clips) == ("resident", "streamed")
    assert small.equal(held, streamed)
    assert small.run(on_disk, epochs=2, memory_gb=whole / 1e9).clips == "resident"


def test_clips_on_the_disk_are_read_a_batch_at_a_time_and_two_ahead() -> None:
    """A part that counts what is read of it: no more than the batch in use and the two after it."""
    rows: list[int] = []

    class Counted(np.ndarray):
        def __getitem__(self, index: object) -> object:
            rows.append(int(index))  # type: ignore[call-overload]
            return np.asarray(self)[index]  # type: ignore[index]

    clips = numbered(40)
    counted = Clips((clips.parts[0].view(Counted),), clips.targets, clips.names)
    batches = Streamed(counted, CPU).training(4, torch.arange(40))
    for index, _ in enumerate(islice(batches, 5)):
        assert len(rows) <= 4 * (index + 1 + 2 + 1)  # one more may have been begun as this one was handed out
    batches.close()  # type: ignore[attr-defined]
    assert len(rows) <= 4 * 8


def test_a_broken_read_is_raised_where_its_batch_would_have_come_and_no_thread_stays() -> None:
    class Broken(np.ndarray):
        def __getitem__(self, index: object) -> object:
            if index == 9:
                raise OSError("a bad sector")
            return np.asarray(self)[index]  # type: ignore[index]

    before = threading.active_count()
    clips = numbered(16)
    broken = Clips((clips.parts[0].view(Broken),), clips.targets, clips.names)
    seen = []
    with pytest.raises(OSError, match="a bad sector"):
        seen.extend(y.tolist() for _, y in Streamed(broken, CPU).training(4, torch.arange(16)))
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert threading.active_count() == before


def test_resident_clips_are_a_copy_of_their_own() -> None:
    clips = small.make_clips(5)
    held = Resident(clips, CPU)
    clips.parts[0][:] = 0
    assert held.spectrograms.abs().min() > 0


def test_half_of_the_free_memory_is_the_budget_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = small.make_cell()
    whole = cell.train.nbytes + cell.held_out.nbytes
    for budget, kind in ((whole, Resident), (whole - 1, Streamed)):
        monkeypatch.setattr(loop.memory, "clips_budget", lambda device, budget=budget: budget)
        assert all(isinstance(batches, kind) for batches in loop.hold(cell, CPU, None))


@both
def test_clips_that_were_rounded_for_the_disk_are_float32_in_a_batch(kind: Kind) -> None:
    whole = numbered(3, 5)
    rounded = Clips(tuple(part.astype(np.float16) for part in whole.parts), whole.targets, whole.names)
    assert rounded.nbytes == whole.nbytes  # as they are held
    batches, expected = (kind(clips, CPU).evaluation(3) for clips in (rounded, whole))
    for (x, _), (y, _) in zip(batches, expected, strict=True):
        assert x.dtype == torch.float32
        assert torch.equal(x, y)
