"""Every picture of a comparison, by the name of its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from specnorm.comparison.checked import CellTables
from specnorm.comparison.inputs import Inputs
from specnorm.comparison.verdict import Verdict
from specnorm.params import WAVEFORMS, LinearParams, MelParams, Waveform
from specnorm.report import classes, clip, curves, intervals, matrices, pictures, sound, style
from specnorm.report.example import Example
from specnorm.report.picture import Picture
from specnorm.statistics.training_set import TrainingStatistics

_VARIANTS: dict[Waveform, str] = {"raw": "raw", "standardized": "standardised"}


def figures(
    verdict: Verdict,
    checked: CellTables,
    inputs: Inputs,
    noop: pd.DataFrame,
    statistics: Mapping[Waveform, Sequence[TrainingStatistics]],
    example: Example,
    params: LinearParams | MelParams,
    labels: list[str],
    families: Mapping[str, str],
) -> dict[str, Picture]:
    """All pictures, each 720 pixels wide, and as ``<name>-narrow`` 350 pixels where it is another on a phone.

    A comparison of one mode has no differences, and modes that change nothing have no effects.

    Args:
        verdict: of the comparison.
        checked: the tables.
        inputs: clips as each mode hands them over.
        noop: from :func:`specnorm.comparison.noop.table`.
        statistics: of every training set, by waveform variant.
        example: a clip among the inputs.
        params: the front end.
        labels: the classes in their order.
        families: each mode's.
    """
    found: dict[str, Picture] = {}

    def add(name: str, draw: Callable[..., Picture], *shown: Any, one_size: bool = False, **named: Any) -> None:
        found[name] = draw(*shown, **named)
        if not one_size:
            found[f"{name}-narrow"] = draw(*shown, **named, narrow=True)

    modes = list(dict.fromkeys(checked.cells["norm"]))
    estimates = verdict.modes[verdict.modes["metric"] == "accuracy"]
    add("accuracy", intervals.accuracy, estimates, checked.cells, families, chance=verdict.chance)
    add("curves", curves.training_curves, checked.curves, families)
    if len(modes) > 1:
        add("differences", intervals.differences, verdict.pairs, families)
        add("classes", classes.class_differences, verdict.classes, families)
    add("clip", clip.one_clip, example, inputs, params)
    add("histograms", pictures.value_histograms, inputs, families)
    for waveform in WAVEFORMS:
        add(f"statistics-{waveform}", training, waveform, statistics[waveform])
    if len(noop):
        add("noop", pictures.survival, noop)
    confusion, small = checked.confusion, matrices.is_one_size(labels)
    if len(modes) > 1:
        compared = most_telling(verdict), verdict.baseline
        add("confusions", matrices.confusion_differences, confusion, *compared, labels, one_size=small)
    for mode in modes:
        add(f"confusion-{mode}", matrices.confusion, confusion, mode, labels, one_size=small)
    add("time", pictures.time_spent, checked.cells, families)
    return found


def most_telling(verdict: Verdict) -> str:
    """The mode whose confusions are held against the baseline's: the one to use, or the best beside the baseline."""
    chosen = verdict.decision.mode
    if chosen is not None and chosen != verdict.baseline:
        return chosen
    others = verdict.modes[(verdict.modes["metric"] == "accuracy") & (verdict.modes["norm"] != verdict.baseline)]
    return str(others["norm"].iloc[int(others["mean"].to_numpy().argmax())])


def training(waveform: Waveform, statistics: Sequence[TrainingStatistics], *, narrow: bool = False) -> Picture:
    """The statistics of a variant's training sets."""
    figure = sound.show_statistics(list(statistics), title="", width_in=style.width(narrow=narrow))
    spectrograms = f"the {_VARIANTS[waveform]} waveform's spectrograms"
    return Picture(
        figure,
        f"The training statistics of {spectrograms}",
        f"Mean, deviation and share of digital silence of each frequency bin of {spectrograms}, a line for each of "
        f"{len(statistics)} training sets.",
    )
