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
from specnorm.report import pictures, sound
from specnorm.report.example import Example
from specnorm.report.style import drawn, headline
from specnorm.statistics.training_set import TrainingStatistics

_LIMITS = (0.5, 99.5)  # percentiles that a spectrogram's colours reach: single values at the floor would dim the rest

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
    """
    modes = list(dict.fromkeys(checked.cells["norm"]))
    found = {
        "accuracy": pictures.accuracy(
            verdict.modes[verdict.modes["metric"] == "accuracy"], checked.cells, chance=1 / len(labels)
        ),
        "curves": pictures.training_curves(checked.curves),
    }
    if len(modes) > 1:
        pairs = verdict.pairs
        beats = int(pairs["distinguishable"].sum())
        title = f"{beats} of {len(pairs)} pairs can be told apart (filled)" if beats else "no pair can be told apart"
        found["differences"] = pictures.differences(pairs, title=f"Differences in accuracy: {title}")
        found["classes"] = pictures.class_differences(verdict.classes)
    found["clip"] = one_clip(example, inputs, params)
    histograms = {mode: inputs.histogram(mode) for mode in modes}
    found["histograms"] = pictures.value_histograms(
        {mode: shares for mode, (shares, _) in histograms.items()},
        {mode: edges for mode, (_, edges) in histograms.items()},
        {mode: inputs.unit(mode) for mode in modes},
    )
    for waveform in WAVEFORMS:
        found[f"statistics-{waveform}"] = sound.show_statistics(list(statistics[waveform]))
    if len(noop):
        found["noop"] = pictures.survival(noop)
    for mode in modes:
        found[f"confusion-{mode}"] = pictures.confusion(checked.confusion, mode, labels)
    found["time"] = pictures.time_spent(checked.cells)
    return found


@drawn
def one_clip(example: Example, inputs: Inputs, params: LinearParams | MelParams) -> Figure:
    """A clip as both waveforms, and as the spectrogram before and after every mode: a row a waveform variant."""
    after = {
        waveform: [
            mode for mode in inputs.modes if inputs.modes[mode].waveform == waveform and not inputs.untouched(mode)
        ]
        for waveform in WAVEFORMS
    }
    columns = 2 + max(len(modes) for modes in after.values())
    figure = Figure(figsize=(2.75 * columns, 2.5 * len(WAVEFORMS) + 0.4))
    panels = figure.subplots(len(WAVEFORMS), columns, squeeze=False)
    for row, waveform in zip(panels, WAVEFORMS, strict=True):
        said, unit = _WAVEFORMS[waveform]
        sound.show_waveform(example.waveforms[waveform], params.sample_rate, axes=row[0], title=said, unit=unit)
        level = inputs.levels[waveform][example.row]
        sound.show_spectrogram(
            level, params, axes=row[1], title=f"before: {UNTOUCHED[waveform]}", limits=_limits(level.numpy())
        )
        for axes, mode in zip(row[2:], after[waveform], strict=False):
            given = inputs.of(mode)[example.row]
            sound.show_spectrogram(
                given, params, axes=axes, title=f"after: {mode}", unit=inputs.unit(mode), limits=_limits(given.numpy())
            )
        for axes in row[2 + len(after[waveform]) :]:
            axes.set_visible(False)
    headline(figure, f"One clip as each mode hands it to the network: {example.label} ({example.name})")
    return figure


def _limits(level: NDArray[np.float32]) -> tuple[float, float]:
    low, high = (float(value) for value in np.percentile(level, _LIMITS))
    return (low, high) if high > low and math.isfinite(high - low) else (low - 1, low + 1)
