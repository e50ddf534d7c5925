"""The decision card: its figures, its grid, and code that does what the mode does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from specnorm.audio.front_end import FrontEnd
from specnorm.audio.waveform import standardize
from specnorm.normalization.base import kinds
from specnorm.params import LinearParams, MelParams, NormParams
from specnorm.report import usage
from specnorm.report.card import Card, card, in_words
from specnorm.statistics.recorder import Statistics
from tests import made_up
from tests.builders import front_end_params

NORM = {
    "none": NormParams(kind="identity", waveform="raw"),
    "waveform": NormParams(kind="identity", waveform="standardized"),
    "channel_raw": NormParams(kind="channel", waveform="raw"),
    "global": NormParams(kind="global", waveform="standardized"),
}


def of(decided: str | None = None, **scores: float) -> Card:
    """The card of modes with these accuracies."""
    figures = {
        name: {"accuracy": {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "deviation": 0.01}}
        for name, mean in scores.items()
    }
    return card(made_up.document(figures, decided=decided), NORM, front_end_params())


def test_modes_stand_where_what_they_do_meets_the_waveform() -> None:
    made = of("waveform", none=0.5, waveform=0.6, channel_raw=0.4, **{"global": 0.55})
    assert [[[spot.norm for spot in spots] for spots in row.places] for row in made.grid] == [
        [["none"], ["waveform"]],
        [[], ["global"]],
        [["channel_raw"], []],
    ]
    assert [spot.norm for row in made.grid for spots in row.places for spot in spots if spot.marked] == ["waveform"]
    assert made.grid[0].places[0][0].words == "50.0 %, baseline"
    assert made.grid[0].words == "Leaves the spectrogram as it is"


def test_modes_of_one_kind_share_a_row_and_differ_in_their_options() -> None:
    one = {"kind": "global", "waveform": "standardized"}
    norm = {name: NormParams.model_validate(one | {"window_s": window}) for name, window in (("a", 0.5), ("b", 1.0))}
    made = card(made_up.document({"a": {}, "b": {}}, state="nothing learned"), norm, front_end_params())
    assert [[[spot.words for spot in spots] for spots in row.places] for row in made.grid] == [
        [[], ["50.0 %, window_s 0.5, baseline", "50.0 %, window_s 1.0"]]
    ]


@pytest.mark.parametrize(
    ("decided", "lead", "of_whom"),
    [
        ("global", "+25.0", "points more than none, the baseline"),
        ("none", "-12.5", "points more than waveform, the next best"),
    ],
)
def test_the_lead_is_over_the_baseline_and_the_baselines_over_the_next_best(
    decided: str, lead: str, of_whom: str
) -> None:
    scores = {
        name: {"accuracy": {"mean": 0.5 + 0.01 * (name == "waveform"), "low": None, "high": None, "deviation": None}}
        for name in NORM
    }
    document = made_up.document(scores, decided=decided)
    values = document.model_dump()
    for pair in values["pairs"]:
        known = {("global", "none"): 0.25, ("waveform", "none"): 0.125}.get((pair["one"], pair["other"]), 0.0)
        pair["accuracy"] = {"difference": known, "low": known - 0.0625, "high": known + 0.125}
    made = card(type(document).model_validate(values), NORM, front_end_params())
    fact = made.facts[1]
    assert (fact.value, fact.name) == (lead, of_whom)
    assert fact.interval == ("+18.8 to +37.5" if decided == "global" else "-25.0 to -6.2")


def test_options_and_sentences_tell_a_mode_without_a_description() -> None:
    assert in_words(NORM["channel_raw"]).startswith("The waveform keeps its level. What is done to the spectrogram: ")
    assert in_words(NormParams(kind="global", waveform="raw", description="Said.")) == "Said."


@pytest.mark.parametrize("waveform", ["raw", "standardized"])
@pytest.mark.parametrize("kind", [kind.kind for kind in kinds()])
@pytest.mark.parametrize(
    "front_end",
    [front_end_params(), FrontEnd.mel(sample_rate=1000, clip_seconds=0.2, n_fft=32, win_length=32, n_mels=4).params],
    ids=["linear", "mel"],
)
def test_the_code_does_what_the_mode_does(front_end: LinearParams | MelParams, kind: str, waveform: str) -> None:
    """Run as it stands, with a loader and a network of somebody's."""
    mode = NormParams.model_validate({"kind": kind, "waveform": waveform})
    batches = torch.randn(2, 3, front_end.samples, generator=torch.Generator().manual_seed(0)) + 0.5
    given = {"loader": [(batch, None) for batch in batches], "network": nn.Identity()}
    exec(usage.code(mode, front_end), given)  # it is our own
    front = FrontEnd(front_end)
    treated = [standardize(batch) if waveform == "standardized" else batch for batch in batches]
    statistics = Statistics.like(front)
    for batch in treated:
        statistics.update(front(batch))
    own = next(each for each in kinds() if each.kind == kind).fit(statistics)
    made = given["model"](treated[0])  # type: ignore[operator]
    torch.testing.assert_close(made, own(front(treated[0])), rtol=0, atol=0)
