"""The picture of one clip, as every mode hands it to the network."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from specnorm.comparison.inputs import UNTOUCHED, Inputs
from specnorm.params import WAVEFORMS, LinearParams, MelParams, Waveform
from specnorm.report import sound
from specnorm.report.example import Example
from specnorm.report.picture import Picture, listed
from specnorm.report.style import drawn, short, width

_COLUMNS = {False: 4, True: 2}  # of wide and narrow pictures
_WAVEFORMS: dict[Waveform, tuple[str, str]] = {
    "raw": ("the waveform as it is", "full scale = 1"),
    "standardized": ("standardised", "deviations"),
}


@drawn
def one_clip(example: Example, inputs: Inputs, params: LinearParams | MelParams, *, narrow: bool = False) -> Picture:
    """A clip as both waveforms, and as the spectrogram before and after every mode: a variant starts a row.

    Each spectrogram has the values of its darkest and its brightest colour above it.

    Args:
        example: a clip among the inputs.
        inputs: the clips as each mode hands them over.
        params: the front end.
        narrow: whether for a phone.
    """
    changed = {
        waveform: [
            mode for mode, each in inputs.modes.items() if each.waveform == waveform and not inputs.untouched(mode)
        ]
        for waveform in WAVEFORMS
    }
    columns = _COLUMNS[narrow]
    rows = {waveform: math.ceil((2 + len(modes)) / columns) for waveform, modes in changed.items()}
    figure = Figure(figsize=(width(narrow=narrow), 1.45 * sum(rows.values()) + 0.3), dpi=100)
    panels = figure.subplots(sum(rows.values()), columns, squeeze=False)
    first = 0
    for waveform, modes in changed.items():
        own = list(panels[first : first + rows[waveform]].ravel())
        first += rows[waveform]
        said, unit = _WAVEFORMS[waveform]
        sound.show_waveform(example.waveforms[waveform], params.sample_rate, axes=own[0])
        own[0].set_title(said, fontsize=7)
        own[0].set_xlabel("")
        own[0].set_ylabel(unit, fontsize=8)
        level = inputs.levels[waveform][example.row].numpy()
        _spectrogram(own[1], f"before: {UNTOUCHED[waveform]}", level, params, unit="dB", named=True)
        for place, (axes, mode) in enumerate(zip(own[2:], modes, strict=False), start=2):
            given, unit = inputs.of(mode)[example.row].numpy(), inputs.unit(mode)
            _spectrogram(axes, f"after: {mode}", given, params, unit=unit, named=place % columns == 0)
        used = own[: 2 + len(modes)]
        for axes in used[-columns:]:
            axes.set_xlabel("time (s)")
        for axes in own[len(used) :]:
            axes.set_visible(False)
    told = listed([mode for modes in changed.values() for mode in modes]) if any(changed.values()) else "no mode"
    return Picture(
        figure,
        f"One clip as each mode hands it to the network: {short(example.label)} ({short(example.name, 60)})",
        f"The clip's waveform, as it is and standardised, its spectrogram of each, and that after {told}.",
    )


def _spectrogram(
    axes: Axes, title: str, level: NDArray[np.float32], params: LinearParams | MelParams, *, unit: str, named: bool
) -> None:
    low, high = sound.reach(level)
    reach = f"{low:.0f} to {high:.0f} dB" if unit == "dB" else f"{low:.2g} to {high:.2g}"
    sound.show_spectrogram(level, params, axes=axes, limits=(low, high), bar=False)
    axes.set_title(f"{short(title)}\n{reach}", fontsize=7)
    axes.set_xlabel("")
    axes.set_ylabel("frequency (Hz)" if named else "", fontsize=8)
    if not named:
        axes.tick_params(labelleft=False)
