"""Where a fold is cut, and what of it stays as it was when clips come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specnorm.shards import parts

CLIP = 100  # bytes


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_BYTES", 50 * CLIP)


def names(count: int) -> list[str]:
    return [f"clip-{number:06}.wav" for number in range(count)]


def cut(clips: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(clips[place] for place in part) for part in parts.cut(clips, CLIP)}


@given(st.lists(st.text(max_size=3), max_size=700))
def test_every_clip_is_in_one_part_in_its_order_and_parts_have_sizes_that_memory_bears(clips: list[str]) -> None:
    parts._BYTES = 50 * CLIP
    found = parts.cut(clips, CLIP)
    assert list(chain.from_iterable(found)) == list(range(len(clips)))
    assert all(50 <= len(part) <= 200 for part in found[:-1])
    assert all(1 <= len(part) <= 200 for part in found)


@pytest.mark.parametrize("change", ["added", "removed"])
def test_a_clip_that_comes_or_goes_changes_its_own_part_and_hardly_ever_another(change: str) -> None:
    before = names(20_000)
    old, made = cut(before), Counter[int]()
    for place in np.random.default_rng(0).integers(0, len(before), 60).tolist():
        new = ["another.wav"] if change == "added" else []
        made[len(cut([*before[:place], *new, *before[place + (change == "removed") :]]) - old)] += 1
    assert len(old) > 150
    assert made[1] >= 45  # the rest are parts that end at their greatest length, and those after them
    assert max(made) <= 5


def test_a_spectrogram_larger_than_a_part_is_one() -> None:
    assert parts.cut(["a", "b"], 10**12) == [range(1), range(1, 2)]


def test_a_fold_of_esc50_is_one_part() -> None:
    parts._BYTES = 160_000_000
    assert len(parts.cut(names(400), 4 * 201 * 401)) == 1
