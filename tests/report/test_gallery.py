"""Every picture of a comparison, whatever the number of its modes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from specnorm.comparison.inputs import Inputs, TrainedMode
from specnorm.params import WAVEFORMS
from specnorm.report import gallery, style
from specnorm.report.clip import one_clip as draw
from specnorm.report.example import Example
from tests.builders import front_end_params
from tests.report import forged, twenty


class Halve(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 2


def one_clip(modes: list[str], *, narrow: bool = False) -> list[str]:
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
    figure = draw(example, Inputs(["a.wav"], levels, given), front_end_params(), narrow=narrow).figure
    assert figure.get_figheight() < 2 * len(figure.axes) / (2 if narrow else 4)
    return [axes.get_title("left").split("\n")[0] for axes in figure.axes if axes.get_title("left")]


def test_few_modes_stand_beside_their_clip() -> None:
    assert one_clip(["none", "waveform", "global", "channel_raw"]) == [
        "the waveform as it is",
        "before: none",
        "after: channel_raw",
        "standardised",
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


def test_every_picture_has_a_wide_form_and_one_for_a_phone() -> None:
    """Of fifty classes: 720 and 350 pixels wide, none of them endless."""
    families = {mode: forged.FAMILIES[mode] for mode in list(forged.FAMILIES)[:3]}
    found = forged.pictures(families)
    wide = {name for name in found if not name.endswith("-narrow")}
    assert {f"{name}-narrow" for name in wide} == set(found) - wide
    assert wide >= {"accuracy", "curves", "differences", "classes", "clip", "confusions", "confusion-none"}
    for name, picture in found.items():
        width, height = picture.figure.get_size_inches()
        assert width == (style.WIDE if name in wide else style.NARROW)
        assert height < 14, name
        assert len(picture.title) > 10
        assert len(picture.alt) > 20
        assert not picture.figure.get_suptitle()  # it stands on the page


def test_a_matrix_of_few_classes_is_the_same_on_a_phone() -> None:
    families = {mode: twenty.FAMILIES[mode] for mode in list(twenty.FAMILIES)[:2]}
    found = forged.pictures(families, ["cat", "dog", "rain"])
    assert found["confusion-none"].figure.get_figwidth() == style.NARROW
    assert "confusion-none-narrow" not in found
    assert "confusions-narrow" not in found


def test_one_mode_alone_has_nothing_to_be_held_against() -> None:
    found = forged.pictures({"none": "identity"}, ["cat", "dog", "rain"])
    assert not {"differences", "classes", "confusions", "noop"} & set(found)


def test_the_confusions_shown_are_of_the_mode_to_use_or_of_the_best_other() -> None:
    verdict = forged.verdict()
    assert gallery.most_telling(verdict) == "pcen"
    best = "exponential"
    for mode in (verdict.baseline, None):
        assert gallery.most_telling(forged.verdict(decided=mode)) == best
