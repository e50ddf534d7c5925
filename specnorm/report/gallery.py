"""Every picture of a comparison, by the name of its file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from specnorm.comparison.checked import CellTables
from specnorm.comparison.inputs import UNTOUCHED, Inputs
from specnorm.comparison.verdict import Verdict
from specnorm.params import WAVEFORMS, LinearParams, MelParams, Waveform
from specnorm.report import curves, intervals, pictures, sound
from specnorm.report.example import Example
from specnorm.report.panels import MOST
from specnorm.report.style import drawn, headline, short
from specnorm.statistics.training_set import TrainingStatistics

_LIMITS = (0.5, 99.5)  # percentiles that a spectrogram's colours reach: single values at the floor would dim the rest

_MOST_PAIRS = 28  # drawn: all pairs of eight modes, on a picture of a page and a half

_WAVEFORMS: dict[Waveform, tuple[str, str]] = {
    "raw": ("the waveform as it is", "full scale = 1"),
    "standardized": ("the waveform, standardised", "deviations"),
}


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
) -> dict[str, Figure]:
    """All figures; a comparison of one mode has no differences, and modes that change nothing have no effects.

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
    modes = list(dict.fromkeys(checked.cells["norm"]))
    estimates = verdict.modes[verdict.modes["metric"] == "accuracy"]
    found = {
        "accuracy": intervals.accuracy(estimates, checked.cells, families, chance=1 / len(labels)),
        "curves": curves.training_curves(checked.curves, families),
    }
    if len(modes) > 1:
        found["differences"] = differences(verdict, families)
        found["classes"] = intervals.class_differences(verdict.classes, families)
    found["clip"] = one_clip(example, inputs, params)
    histograms = {mode: inputs.histogram(mode) for mode in modes}
    found["histograms"] = pictures.value_histograms(
        {mode: shares for mode, (shares, _) in histograms.items()},
        {mode: edges for mode, (_, edges) in histograms.items()},
        {mode: inputs.unit(mode) for mode in modes},
        families,
    )
    for waveform in WAVEFORMS:
        found[f"statistics-{waveform}"] = sound.show_statistics(list(statistics[waveform]))
    if len(noop):
        found["noop"] = pictures.survival(noop)
    for mode in modes:
        found[f"confusion-{mode}"] = pictures.confusion(checked.confusion, mode, labels)
    found["time"] = pictures.time_spent(checked.cells, families)
    return found


@drawn
def one_clip(example: Example, inputs: Inputs, params: LinearParams | MelParams) -> Figure:
    """A clip as both waveforms, and as the spectrogram before and after every mode: a variant starts a row."""
    after = {
        waveform: [
            mode for mode, each in inputs.modes.items() if each.waveform == waveform and not inputs.untouched(mode)
        ]
        for waveform in WAVEFORMS
    }
    columns = min(MOST, 2 + max(len(modes) for modes in after.values()))
    rows = {waveform: math.ceil((2 + len(modes)) / columns) for waveform, modes in after.items()}
    figure = Figure(figsize=(2.75 * columns, 2.5 * sum(rows.values()) + 0.4))
    panels = list(figure.subplots(sum(rows.values()), columns, squeeze=False).ravel())
    for waveform, modes in after.items():
        own = [panels.pop(0) for _ in range(rows[waveform] * columns)]
        said, unit = _WAVEFORMS[waveform]
        sound.show_waveform(example.waveforms[waveform], params.sample_rate, axes=own[0], title=said, unit=unit)
        level = inputs.levels[waveform][example.row]
        sound.show_spectrogram(
            level, params, axes=own[1], title=f"before: {UNTOUCHED[waveform]}", limits=_limits(level.numpy())
        )
        for axes, mode in zip(own[2:], modes, strict=False):
            given = inputs.of(mode)[example.row]
            sound.show_spectrogram(
                given, params, axes=axes, title=f"after: {mode}", unit=inputs.unit(mode), limits=_limits(given.numpy())
            )
        for axes in own[2 + len(modes) :]:
            axes.set_visible(False)
    headline(
        figure, f"One clip as each mode hands it to the network: {short(example.label)} ({short(example.name, 60)})"
    )
    return figure


def differences(verdict: Verdict, families: Mapping[str, str]) -> Figure:
    """Every pair's difference in accuracy; where they are very many, that of each mode and the baseline."""
    pairs, others = verdict.pairs, ""
    if len(pairs) > _MOST_PAIRS:
        pairs = pairs[pairs["other"] == verdict.baseline]
        others = f"; {len(verdict.pairs) - len(pairs)} pairs without {verdict.baseline} are in differences.csv"
    beats = int(pairs["distinguishable"].sum())
    title = f"{beats} of {len(pairs)} pairs can be told apart (filled)" if beats else "no pair can be told apart"
    return intervals.differences(pairs, families, title=f"Differences in accuracy: {title}{others}")


def _limits(level: NDArray[np.float32]) -> tuple[float, float]:
    low, high = (float(value) for value in np.percentile(level, _LIMITS))
    return (low, high) if high > low and math.isfinite(high - low) else (low - 1, low + 1)
