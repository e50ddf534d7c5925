"""The clips that are chosen to be heard: modes differ, seeds agree, and the differences are large."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specnorm.comparison.outcomes import Outcomes
from specnorm.report.telling import telling


def outcomes(**by_mode: list[list[float]]) -> Outcomes:
    """Predictions by mode: the probability of the actual class of two, by seed and clip."""
    probabilities = {mode: np.stack([actual := np.array(rows), 1 - actual], axis=-1) for mode, rows in by_mode.items()}
    clips = len(next(iter(by_mode.values()))[0])
    zeros = np.zeros(clips, np.int64)
    return Outcomes(zeros, zeros + 1, np.arange(clips), probabilities, clips)


def table(*sources: str) -> pd.DataFrame:
    return pd.DataFrame({"clip": [f"{place}.wav" for place in range(len(sources))], "source": sources})


def test_only_clips_that_one_mode_gets_right_and_another_wrong() -> None:
    found = outcomes(none=[[0.9, 0.1, 0.6, 0.2]], channel=[[0.6, 0.2, 0.4, 0.7]])
    # The first differs by more than the third, but both modes get it right.
    assert telling(found, table("a", "b", "c", "d")) == [3, 2]


def test_only_clips_on_which_every_seed_of_the_two_agrees() -> None:
    found = outcomes(
        none=[[0.9, 0.9, 0.9], [0.9, 0.4, 0.9]],  # the second clip is right with one seed of two
        channel=[[0.1, 0.1, 0.1], [0.1, 0.1, 0.6]],  # and so is the third
    )
    assert telling(found, table("a", "b", "c")) == [0]
    steady = {"global_raw": [[0.9, 0.9, 0.3], [0.9, 0.9, 0.3]]}
    others = {mode: each[..., 0].tolist() for mode, each in found.probabilities.items()}
    assert set(telling(outcomes(**others, **steady), table("a", "b", "c"))) == {0, 1, 2}


def test_the_furthest_apart_comes_first_whatever_the_direction() -> None:
    found = outcomes(none=[[0.45, 0.05, 0.7]], channel=[[0.55, 0.95, 0.1]])
    assert telling(found, table("a", "b", "c")) == [1, 2, 0]


def test_one_clip_of_a_recording_and_ties_by_name() -> None:
    found = outcomes(none=[[0.4, 0.1, 0.1, 0.1]], channel=[[0.6, 0.9, 0.9, 0.9]])
    assert telling(found, table("a", "a", "b", "b")) == [1, 2]
    assert telling(found, table("a", "a", "b", "b").assign(clip=["z", "y", "x", "w"])) == [3, 1]


def test_modes_that_agree_leave_nothing() -> None:
    assert telling(outcomes(none=[[0.9]], channel=[[0.8]]), table("a")) == []
    assert telling(outcomes(none=[[0.9]]), table("a")) == []
