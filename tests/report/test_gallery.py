"""Every picture of a comparison, whatever the number of its modes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from specnorm.comparison.inputs import Inputs, TrainedMode
from specnorm.comparison.verdict import Verdict
from specnorm.params import WAVEFORMS
from specnorm.report import gallery
from specnorm.report.example import Example
from tests.builders import front_end_params
from tests.report import twenty

NOTHING = pd.DataFrame()
VERDICT = Verdict("none", "none", "", NOTHING, twenty.pairs(), NOTHING, NOTHING, 100)


class Halve(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 2


def one_clip(modes: list[str]) -> list[str]:
    """The titles of the panels of a clip, row by row."""
    generator = np.random.default_rng(0)
    levels = {name: torch.from_numpy(generator.normal(-40, 10, (1, 1, 9, 6)).astype(np.float32)) for name in WAVEFORMS}
    given = {
        mode: TrainedMode(
            "raw" if mode == "none" or mode.endswith("_raw") else "standardized",
            nn.Identity() if mode in ("none", "waveform") else Halve(),
        )
        for mode in modes
    }
    example = Example("a.wav", "rain", 0, {name: np.zeros(200, np.float32) for name in WAVEFORMS})
    figure = gallery.one_clip(example, Inputs(["a.wav"], levels, given), front_end_params())
    width, height = figure.get_size_inches()
    assert width <= 18
    assert height <= width
    return [axes.get_title("left") for axes in figure.axes if axes.get_title("left")]


def test_few_modes_stand_beside_their_clip() -> None:
    assert one_clip(["none", "waveform", "global", "channel_raw"]) == [
        "the waveform as it is",
        "before: none",
        "after: channel_raw",
        "the waveform, standardised",
        "before: waveform",
        "after: global",
    ]


def test_twenty_modes_go_on_in_further_rows() -> None:
    """A regression: a column a mode made a picture of 44 inches."""
    titles = one_clip(list(twenty.FAMILIES))
    assert len(titles) == 4 + 18
    assert {title.removeprefix("after: ") for title in titles if title.startswith("after")} == set(twenty.FAMILIES) - {
        "none",
        "waveform",
    }


def test_every_pair_is_drawn_where_they_are_few() -> None:
    few = dataclasses.replace(VERDICT, pairs=twenty.pairs()[:28])
    figure = gallery.differences(few, twenty.FAMILIES)
    assert len(figure.axes[0].get_yticklabels()) == 28


def test_of_many_pairs_those_with_the_baseline_are_drawn_and_the_others_are_told() -> None:
    """A regression: 190 pairs made a picture of 70 inches."""
    figure = gallery.differences(VERDICT, twenty.FAMILIES)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [f"{mode} less none" for mode in list(twenty.FAMILIES)[:0:-1]]
    assert "171 pairs without none are in differences.csv" in " ".join(figure.get_suptitle().split())


@pytest.mark.parametrize("beats", [True, False])
def test_the_title_says_how_many_can_be_told_apart(beats: bool) -> None:
    pairs = twenty.pairs()[:3].assign(distinguishable=beats)
    title = gallery.differences(dataclasses.replace(VERDICT, pairs=pairs), twenty.FAMILIES).get_suptitle()
    expected = "3 of 3 pairs can be told apart (filled)" if beats else "no pair can be told apart"
    assert title == f"Differences in accuracy: {expected}"
