"""Pictures of a clip and of the training statistics, with seconds, hertz and decibels on their axes.

Each is drawn without pyplot. A notebook, after one ``%matplotlib inline``, shows a figure that its input ends in:
``show_waveform(...).figure``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import make_interp_spline
from torch import Tensor

from specnorm.audio.front_end import FrontEnd
from specnorm.params import LinearParams, MelParams, Waveform
from specnorm.report import style
from specnorm.report.picture import hover
from specnorm.statistics.training_set import TrainingStatistics

_REACH = (0.5, 99.5)  # percentiles: single values at the floor would dim all the rest
_DPI = 100  # of what is drawn as pixels inside an SVG, too
_WAVE = "#0072B2"  # drawn as pixels, which do not turn with the page: it reads on light and dark ones
_VARIANTS: dict[Waveform, tuple[str, str]] = {
    "raw": ("raw waveform", style.COLOURS["none"]),
    "standardized": ("standardised waveform", style.COLOURS["waveform"]),
}

_Float = NDArray[np.floating]


@style.drawn
def show_waveform(
    waveform: ArrayLike | Tensor,
    sample_rate: int,
    *,
    axes: Axes | None = None,
    title: str | None = None,
    unit: str = "full scale = 1",
) -> Axes:
    """Amplitude against seconds; full scale fills the height, unless the waveform goes beyond it.

    Args:
        waveform: [samples], array or tensor.
        sample_rate: Hz.
        axes: where to draw; a figure of its own if there are none.
        title: what to see; the peak is told where there is none.
        unit: of the amplitude.

    Raises:
        ValueError: the waveform is not [samples], is empty or not finite, or the sample rate is not positive.
    """
    values = _finite(waveform, "waveform")
    if values.ndim != 1:
        raise ValueError(f"a waveform of shape [samples] was expected, got {values.shape}")
    if not sample_rate > 0:
        raise ValueError(f"a sample rate above 0 Hz was expected, got {sample_rate}")
    axes = axes or _axes(2.0)
    peak = float(np.abs(values).max())
    # A path through every sample would make an SVG of megabytes.
    axes.plot(np.arange(len(values)) / sample_rate, values, color=_WAVE, linewidth=0.5, rasterized=True)
    axes.set_xlim(0, len(values) / sample_rate)
    height = 1.05 * max(1.0, peak)
    axes.set_ylim(-height, height)
    axes.set_xlabel("time (s)")
    axes.set_ylabel(f"amplitude\n({unit})")
    axes.set_title(f"Waveform: the peak is {peak:.3g}" if title is None else title)
    return axes


@style.drawn
def show_spectrogram(
    level: ArrayLike | Tensor,
    params: LinearParams | MelParams,
    *,
    axes: Axes | None = None,
    title: str | None = None,
    unit: str = "dB",
    limits: tuple[float, float] | None = None,
    bar: bool = True,
) -> Axes:
    """Level by time and frequency; every bin has the same height, so mel bands make a bent axis of hertz.

    Args:
        level: [bins, frames] or [1, bins, frames], array or tensor; frames from the start of the clip.
        params: the front end's.
        axes: where to draw; a figure of its own if there are none.
        title: what to see.
        unit: of the level; what a mode gives is in deviations.
        limits: the levels of the darkest and the brightest colour, to compare pictures; the level's own extremes if
            not given.
        bar: whether a colour bar with the unit stands beside it.

    Raises:
        ValueError: the level is of another shape or not finite, or the limits do not rise.
    """
    values = _finite(level, "level")
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    if values.ndim != 2 or values.shape[0] != params.bins:
        shape = f"[{params.bins}, frames] or [1, {params.bins}, frames]"
        raise ValueError(f"a level of shape {shape} was expected, got {values.shape}")
    darkest, brightest = limits or _extremes(values)
    if not darkest < brightest:
        raise ValueError(f"limits that rise were expected, got {darkest} and {brightest}")
    axes = axes or _axes(3.0)
    frequencies_hz = FrontEnd(params).bin_frequencies_hz
    frames_s = np.arange(values.shape[1]) * params.hop_length / params.sample_rate  # their centres
    half_s = params.hop_length / params.sample_rate / 2
    edges_s = np.append(frames_s - half_s, frames_s[-1] + half_s)
    # As pixels: a path a value would make an SVG of tens of megabytes.
    mesh = axes.pcolormesh(
        edges_s, _edges(frequencies_hz), values, cmap=style.LEVELS, vmin=darkest, vmax=brightest, rasterized=True
    )
    axes.set_xlim(edges_s[0], edges_s[-1])
    _frequency_axis(axes, "y", frequencies_hz)
    axes.grid(visible=False)
    axes.set_xlabel("time (s)")
    axes.set_ylabel("frequency (Hz)")
    axes.set_title(_spectrogram_title(params) if title is None else title)
    if bar:
        axes.figure.colorbar(mesh, ax=axes, label=unit, pad=0.02).outline.set_visible(False)
    return axes


@style.drawn
def show_statistics(
    statistics: TrainingStatistics | Sequence[TrainingStatistics],
    *,
    title: str | None = None,
    width_in: float = style.WIDE,
) -> Figure:
    """Mean, deviation and share of values at the floor of every frequency bin, a thin line a training set.

    Dashed lines are the mean and the deviation of all bins as one. Each line's label names its waveform variant and its
    held-out fold; the folds of a variant have one colour, because they should lie on each other.

    Args:
        statistics: of one front end.
        title: what to see; none if it is empty.
        width_in: of the figure, in inches.

    Raises:
        ValueError: there are none, or they are of several front ends.
    """
    sets = [statistics] if isinstance(statistics, TrainingStatistics) else list(statistics)
    front_ends = {one.provenance.front_end_fingerprint for one in sets}
    if len(front_ends) != 1:
        raise ValueError(f"statistics of one front end were expected, got {len(front_ends)}")
    figure = Figure(figsize=(width_in, 6.0), dpi=_DPI)
    panels: list[Axes] = list(figure.subplots(3, 1, sharex=True))
    frequencies_hz = np.asarray(sets[0].bin_frequencies_hz)
    for one in sets:
        name, colour = _VARIANTS[one.provenance.waveform]
        label = f"{name}, fold {one.provenance.held_out_fold} held out"
        columns = (one.bins.mean, one.bins.deviation, 100 * one.bins.floor_share)
        for axes, column in zip(panels, columns, strict=True):
            marker = "o" if len(column) == 1 else ""  # a line through one point is none
            (line,) = axes.plot(frequencies_hz, column, color=colour, linewidth=0.8, marker=marker, label=label)
            hover(line, label)
        for axes, whole in zip(panels, (one.pooled.mean, one.pooled.deviation), strict=False):
            axes.axhline(float(whole[0]), color=colour, linewidth=0.8, linestyle="--")
    floor_db = f"{10 * np.log10(sets[0].provenance.front_end['amin']):.0f}".replace("-", "−")
    mean, deviation, floor = panels
    mean.set_title(style.wrapped(figure, "Mean: what channel normalisation subtracts", 10))
    mean.set_ylabel("mean (dB)")
    deviation.set_title("Deviation: what it divides by")
    deviation.set_ylabel("deviation (dB)")
    deviation.set_ylim(bottom=0)
    floor.set_title(style.wrapped(figure, f"Share of values at the floor of {floor_db} dB, digital silence", 10))
    floor.set_ylabel("share (%)")
    floor.set_ylim(0, max(1.0, 1.1 * max(100 * float(one.bins.floor_share.max()) for one in sets)))
    floor.set_xlabel("frequency (Hz)")
    _frequency_axis(floor, "x", frequencies_hz)
    figure.align_ylabels(panels)
    figure.legend(handles=_legend(sets), loc="outside lower left", ncols=3 if width_in > 6 else 1)
    title = _statistics_title(sets) if title is None else title
    if title:
        style.headline(figure, title)
    return figure


def _axes(height_in: float) -> Axes:
    return Figure(figsize=(7.5, height_in), dpi=_DPI).add_subplot()


def _finite(values: ArrayLike | Tensor, what: str) -> _Float:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if not array.size:
        raise ValueError(f"a {what} of one value or more was expected, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"a {what} of finite values was expected")
    return array


def reach(values: _Float) -> tuple[float, float]:
    """Limits for a spectrogram's colours by itself, which a level throughout lies in the middle of."""
    low, high = (float(value) for value in np.percentile(values, _REACH))
    return (low, high) if high > low and math.isfinite(high - low) else (low - 1, low + 1)


def _extremes(level: _Float) -> tuple[float, float]:
    lowest, highest = float(level.min()), float(level.max())
    return (lowest, highest) if lowest < highest else (lowest, lowest + 1)  # silence is dark


def _edges(centres: _Float) -> _Float:
    """Edges ``[bins + 1]`` of bins around their centres ``[bins]``: half-way between them."""
    if len(centres) == 1:
        half = centres[0] / 2 or 0.5
        return np.array([centres[0] - half, centres[0] + half])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def _frequency_axis(axes: Axes, name: Literal["x", "y"], centres_hz: _Float) -> None:
    """Make an axis in hertz on which every bin takes the same room."""
    edges = _edges(centres_hz)
    axes.set(**{f"{name}lim": (edges[0], edges[-1])})
    steps = np.diff(edges)
    if np.allclose(steps, steps[0]):
        return
    order = np.arange(len(edges), dtype=np.float64)
    forward, back = make_interp_spline(edges, order, k=1), make_interp_spline(order, edges, k=1)
    getattr(axes, f"set_{name}scale")("function", functions=(forward, back))
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(_ticks(edges[0], edges[-1], forward)))
    axis.set_major_formatter("{x:g}")


def _ticks(lowest_hz: float, highest_hz: float, bin_at: Callable[[_Float], _Float]) -> list[float]:
    """Round frequencies, from the top down, with an eighth of the axis or more between them."""
    decades = 10.0 ** np.arange(np.floor(np.log10(highest_hz)) + 1)
    series = np.sort(np.concatenate([decades, 2 * decades, 5 * decades]))
    inside = [float(frequency) for frequency in series if lowest_hz <= frequency <= highest_hz]
    if len(inside) < 3:  # a narrow band
        inside = list(MaxNLocator(5, prune="both").tick_values(lowest_hz, highest_hz))
    room = (bin_at(np.array([highest_hz])) - bin_at(np.array([lowest_hz])))[0] / 8
    kept: list[float] = []
    for frequency in inside[::-1]:
        if not kept or np.diff(bin_at(np.array([frequency, kept[-1]])))[0] >= room:
            kept.append(frequency)
    return kept[::-1]


def _spectrogram_title(params: LinearParams | MelParams) -> str:
    what = "mel band" if isinstance(params, MelParams) else "frequency bin"
    return f"Spectrogram: {params.bins} {what}{'s' if params.bins > 1 else ''}"


def _statistics_title(sets: list[TrainingStatistics]) -> str:
    folds = {one.provenance.held_out_fold for one in sets}
    if len(folds) == 1:
        return f"What each frequency bin is like in training, fold {folds.pop()} held out"
    return f"What each frequency bin is like in training, a line for each of {len(folds)} held-out folds"


def _legend(sets: list[TrainingStatistics]) -> list[Line2D]:
    variants = dict.fromkeys(one.provenance.waveform for one in sets)
    lines = [Line2D([], [], color=_VARIANTS[variant][1], label=_VARIANTS[variant][0]) for variant in variants]
    return [*lines, Line2D([], [], color=style.MUTED, linestyle="--", linewidth=0.8, label="all bins as one (global)")]
