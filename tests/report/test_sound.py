"""The pictures show what they are given: read from their artists, not from their pixels."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from specnorm.audio.front_end import FrontEnd
from specnorm.params import LinearParams, MelParams, Waveform
from specnorm.report import style
from specnorm.report.picture import Picture
from specnorm.report.sound import show_spectrogram, show_statistics, show_waveform
from specnorm.statistics.moments import Moments
from specnorm.statistics.provenance import Provenance
from specnorm.statistics.training_set import TrainingStatistics

_COMMON: dict[str, Any] = {
    "sample_rate": 16000,
    "resampler": "polyphase",
    "clip_seconds": 1.0,
    "n_fft": 512,
    "win_length": 400,
    "hop_length": 160,
    "amin": 1e-10,
    "top_db": None,
}
_MEL: dict[str, Any] = {"transform": "mel", "f_min": 20.0, "f_max": None, "mel_scale": "htk", "mel_norm": None}
LINEAR = LinearParams.model_validate({"transform": "linear", **_COMMON})
MEL = MelParams.model_validate({**_MEL, "n_mels": 64, **_COMMON})
SLANEY = MelParams.model_validate({**_MEL, "n_mels": 80, **_COMMON, "mel_scale": "slaney", "n_fft": 1024})
NARROW = MelParams.model_validate({**_MEL, "n_mels": 8, **_COMMON, "f_min": 1100.0, "f_max": 1900.0})
ONE_BAND = MelParams.model_validate({**_MEL, "n_mels": 1, **_COMMON})
EVERY = {"linear": LINEAR, "mel": MEL, "slaney": SLANEY, "narrow": NARROW, "one band": ONE_BAND}

# Rounding of float64 places: seconds, hertz, pixels and shares of an axis.
EXACT = {"rtol": 1e-9, "atol": 1e-9}


def level(params: LinearParams | MelParams, frames: int | None = None) -> NDArray[np.float32]:
    shape = params.bins, params.frames if frames is None else frames
    return np.random.default_rng(0).normal(-40, 12, shape).astype(np.float32)


def training(
    fold: int = 1, waveform: Waveform = "raw", params: LinearParams | MelParams = LINEAR, *, silent: float = 0.1
) -> TrainingStatistics:
    """Statistics of noise whose level falls with frequency, with a share of digital silence."""
    generator = np.random.default_rng(fold)
    values = generator.normal(np.linspace(-20, -60, params.bins)[:, None], 6, (params.bins, 200))
    values[:, : round(200 * silent)] = -100.0
    front_end = params.model_dump(mode="json")
    provenance = Provenance(
        waveform=waveform,
        held_out_fold=fold,
        folds_merged=[2],
        clips=1,
        clips_digest="c",
        dataset_digest="d",
        front_end=front_end,
        front_end_fingerprint=repr(front_end),
        fraction=1.0,
        seed=0,
    )
    return TrainingStatistics(provenance, Moments.of(values, -100.0), list(FrontEnd(params).bin_frequencies_hz))


def svg(figure: Any) -> str:
    return style.svg(Picture(figure, "", ""), "a")


def mesh(axes: Axes) -> QuadMesh:
    (found,) = (artist for artist in axes.collections if isinstance(artist, QuadMesh))
    return found


def colour_bar(axes: Axes) -> Axes:
    (bar,) = (other for other in axes.figure.axes if other is not axes)
    return bar


def shown_ticks(axes: Axes, name: str) -> dict[str, float]:
    """Label -> place of the ticks within the axis' limits."""
    axis = axes.xaxis if name == "x" else axes.yaxis
    axes.figure.draw_without_rendering()
    low, high = axis.get_view_interval()
    return {
        tick.label1.get_text(): float(tick.get_loc())
        for tick in axis.get_major_ticks()
        if low <= tick.get_loc() <= high
    }


def heights(axes: Axes, frequencies_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where frequencies are on the y axis: 0 at the bottom, 1 at the top."""
    points = np.column_stack([np.zeros_like(frequencies_hz), frequencies_hz])
    return np.asarray(axes.transAxes.inverted().transform(axes.transData.transform(points))[:, 1])


def assert_nothing_overlaps(figure: Figure) -> None:
    figure.savefig(io.BytesIO(), format="png")
    words: list[Any] = [*figure.texts]
    for legend in figure.legends:
        words += legend.get_texts()
    for axes in figure.axes:
        words += [axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title, *axes.texts]  # type: ignore[attr-defined]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if low <= tick.get_loc() <= high:
                    words += [label for label in (tick.label1, tick.label2) if label.get_visible()]
    boxes = [(word.get_text(), word.get_window_extent()) for word in words if word.get_text() and word.get_visible()]
    assert len(boxes) > 6
    for index, (one, box) in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1, one
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1, one
        for other, another in boxes[index + 1 :]:
            assert not box.overlaps(another), (one, other)


# --- the waveform


@pytest.mark.parametrize("kind", ["array", "tensor", "gradient", "list", "integers"])
def test_a_waveform_is_drawn_against_seconds(kind: str) -> None:
    values: Any = np.array([0, 1, -1, 0, 1, 0, 0, 0])
    waveform = {
        "array": values / 2,
        "tensor": torch.from_numpy(values / 2),
        "gradient": torch.tensor(values / 2, requires_grad=True),
        "list": list(values / 2),
        "integers": values,
    }[kind]
    axes = show_waveform(waveform, 4)
    (line,) = axes.lines
    np.testing.assert_allclose(line.get_xdata(), np.arange(8) / 4)
    np.testing.assert_allclose(line.get_ydata(), values if kind == "integers" else values / 2)
    assert axes.get_xlim() == (0, 2)
    assert axes.get_xlabel() == "time (s)"
    assert axes.get_ylabel() == "amplitude\n(full scale = 1)"
    assert axes.get_title(loc="left") == f"Waveform: the peak is {1 if kind == 'integers' else 0.5}"


def test_full_scale_fills_the_height_and_a_waveform_beyond_it_is_not_cut() -> None:
    quiet = show_waveform(np.array([0.0, 0.01]), 10)
    loud = show_waveform(np.array([0.0, -8.0]), 10, unit="deviations", title="after standardisation")
    assert quiet.get_ylim() == pytest.approx((-1.05, 1.05))
    assert loud.get_ylim() == pytest.approx((-8.4, 8.4))
    assert loud.get_ylabel() == "amplitude\n(deviations)"
    assert loud.get_title(loc="left") == "after standardisation"


@pytest.mark.parametrize("waveform", [np.zeros(16000), np.ones(1)])
def test_silence_and_one_sample(waveform: NDArray[np.float64]) -> None:
    assert_nothing_overlaps(show_waveform(waveform, 16000).figure)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("waveform", "rate", "message"),
    [
        (np.zeros((1, 8)), 4, r"shape \[samples\] was expected, got \(1, 8\)"),
        (np.zeros(()), 4, r"shape \[samples\] was expected, got \(\)"),
        (np.zeros(0), 4, r"a waveform of one value or more was expected, got shape \(0,\)"),
        (np.array([0, np.nan]), 4, "a waveform of finite values was expected"),
        (np.zeros(8), 0, "a sample rate above 0 Hz was expected, got 0"),
    ],
)
def test_a_bad_waveform_is_refused(waveform: Any, rate: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        show_waveform(waveform, rate)


# --- the spectrogram


@pytest.mark.parametrize("name", EVERY)
def test_every_value_is_at_its_time_and_frequency(name: str) -> None:
    params = EVERY[name]
    values = level(params)
    axes = show_spectrogram(values, params)
    np.testing.assert_array_equal(np.asarray(mesh(axes).get_array()), values)
    corners = mesh(axes).get_coordinates()  # [bins + 1, frames + 1, (s, Hz)]
    centres_s = (corners[0, 1:, 0] + corners[0, :-1, 0]) / 2
    np.testing.assert_allclose(centres_s, np.arange(params.frames) * 0.01, **EXACT)  # frames are centred on their hop
    edges_hz = corners[:, 0, 1]
    frequencies_hz = FrontEnd(params).bin_frequencies_hz
    assert (edges_hz[:-1] < frequencies_hz).all()
    assert (frequencies_hz < edges_hz[1:]).all()
    if params.bins > 1:
        np.testing.assert_allclose(edges_hz[1:-1], (frequencies_hz[1:] + frequencies_hz[:-1]) / 2, **EXACT)
    assert axes.get_xlim() == pytest.approx((-0.005, params.frames * 0.01 - 0.005))
    assert axes.get_ylim() == pytest.approx((edges_hz[0], edges_hz[-1]))


@pytest.mark.parametrize("name", EVERY)
def test_every_bin_has_the_same_height(name: str) -> None:
    axes = show_spectrogram(level(EVERY[name]), EVERY[name])
    edges_hz = mesh(axes).get_coordinates()[:, 0, 1]
    np.testing.assert_allclose(heights(axes, edges_hz), np.linspace(0, 1, len(edges_hz)), **EXACT)


@pytest.mark.parametrize("name", EVERY)
def test_a_tick_says_the_frequency_of_the_bin_beside_it(name: str) -> None:
    params = EVERY[name]
    axes = show_spectrogram(level(params), params)
    frequencies_hz = FrontEnd(params).bin_frequencies_hz
    ticks = shown_ticks(axes, "y")
    assert len(ticks) >= 3
    for label, place in ticks.items():
        frequency = float(label)
        assert place == frequency
        row = int(np.clip(heights(axes, np.array([frequency]))[0] * params.bins, 0, params.bins - 1))
        assert abs(frequencies_hz - frequency).argmin() == row


def test_the_ticks_of_the_mel_axis_are_round_and_apart() -> None:
    axes = show_spectrogram(level(MEL), MEL)
    ticks = shown_ticks(axes, "y")
    assert list(ticks) == ["100", "500", "1000", "2000", "5000"]
    assert (np.diff(heights(axes, np.array(list(ticks.values())))) >= 1 / 8).all()


@pytest.mark.parametrize("kind", ["array", "tensor", "one channel", "tensor of one channel"])
def test_a_level_is_an_array_or_a_tensor_with_a_channel_or_without(kind: str) -> None:
    values = level(MEL)
    given: Any = values[None] if "channel" in kind else values
    axes = show_spectrogram(torch.from_numpy(given) if "tensor" in kind else given, MEL)
    np.testing.assert_array_equal(np.asarray(mesh(axes).get_array()), values)


def test_words_units_and_colours() -> None:
    axes = show_spectrogram(level(MEL), MEL)
    assert axes.get_xlabel() == "time (s)"
    assert axes.get_ylabel() == "frequency (Hz)"
    assert colour_bar(axes).get_ylabel() == "dB"
    assert axes.get_title(loc="left") == "Spectrogram: 64 mel bands"
    assert mesh(axes).get_cmap().name == style.LEVELS
    assert mesh(axes).get_clim() == (level(MEL).min(), level(MEL).max())
    other = show_spectrogram(level(LINEAR), LINEAR, unit="deviations", title="none", limits=(-100, 20))
    assert colour_bar(other).get_ylabel() == "deviations"
    assert other.get_title(loc="left") == "none"
    assert mesh(other).get_clim() == (-100, 20)
    assert show_spectrogram(level(ONE_BAND), ONE_BAND).get_title(loc="left") == "Spectrogram: 1 mel band"
    assert show_spectrogram(level(LINEAR), LINEAR).get_title(loc="left") == "Spectrogram: 257 frequency bins"


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("frames", [1, 2, 101])
def test_silence_is_dark_and_leaves_the_axes_readable(name: str, frames: int) -> None:
    params = EVERY[name]
    axes = show_spectrogram(np.full((params.bins, frames), -100.0), params)
    assert mesh(axes).get_clim() == (-100, -99)
    assert_nothing_overlaps(axes.figure)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "limits", "message"),
    [
        (np.zeros((63, 5)), None, r"\[64, frames\] or \[1, 64, frames\] was expected, got \(63, 5\)"),
        (np.zeros((5, 64)), None, r"got \(5, 64\)"),
        (np.zeros((2, 64, 5)), None, r"got \(2, 64, 5\)"),
        (np.zeros((1, 1, 64, 5)), None, r"got \(1, 1, 64, 5\)"),
        (np.zeros((64, 0)), None, r"a level of one value or more was expected, got shape \(64, 0\)"),
        (np.full((64, 5), np.inf), None, "a level of finite values was expected"),
        (np.zeros((64, 5)), (0.0, 0.0), r"limits that rise were expected, got 0\.0 and 0\.0"),
    ],
)
def test_a_bad_level_is_refused(values: Any, limits: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        show_spectrogram(values, MEL, limits=limits)


@pytest.mark.parametrize("name", ["linear", "mel"])
def test_an_svg_holds_pixels_instead_of_a_path_a_value(name: str) -> None:
    drawing = svg(show_spectrogram(level(EVERY[name]), EVERY[name]).figure)
    assert drawing.count("<image") == 2  # the colour bar is the other
    assert drawing.count("<path") < 100
    wave = np.random.default_rng(0).normal(0, 0.2, 80000)
    drawing = svg(show_waveform(wave, 16000).figure)
    assert drawing.count("<image") == 1
    assert len(drawing) < 100_000


# --- where they are drawn


def test_axes_that_are_given_are_drawn_on() -> None:
    figure = Figure(figsize=(8, 5), layout="constrained")
    above, below = figure.subplots(2)
    below.grid(visible=True)
    assert show_waveform(np.zeros(8), 4, axes=above) is above
    assert show_spectrogram(level(MEL), MEL, axes=below) is below
    assert len(figure.axes) == 3  # and the colour bar
    assert not any(line.get_visible() for line in [*below.get_xgridlines(), *below.get_ygridlines()])


def test_the_caller_s_settings_stay() -> None:
    before = dict(mpl.rcParams)
    show_waveform(np.zeros(8), 4)
    show_spectrogram(level(MEL), MEL)
    show_statistics(training())
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", EVERY)
def test_no_words_of_a_spectrogram_overlap_or_leave_it(name: str) -> None:
    assert_nothing_overlaps(show_spectrogram(level(EVERY[name]), EVERY[name]).figure)  # type: ignore[arg-type]


# --- the statistics


def curves(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_linestyle() == "-"]


@pytest.mark.parametrize("name", EVERY)
def test_mean_deviation_and_floor_share_of_every_bin(name: str) -> None:
    one = training(3, params=EVERY[name])
    panels = show_statistics(one).axes
    expected = (one.bins.mean, one.bins.deviation, 100 * one.bins.floor_share)
    for axes, values in zip(panels, expected, strict=True):
        (line,) = curves(axes)
        np.testing.assert_array_equal(line.get_xdata(), FrontEnd(EVERY[name]).bin_frequencies_hz)
        np.testing.assert_array_equal(line.get_ydata(), values)
        assert line.get_label() == "raw waveform, fold 3 held out"
        assert line.get_marker() == ("o" if name == "one band" else "")  # no line goes through one point
        low, high = axes.get_ylim()
        assert low <= values.min()
        assert values.max() <= high
    np.testing.assert_allclose(expected[2], 10)  # per cent, as the values were made


def test_a_dashed_line_is_what_global_normalisation_uses() -> None:
    one = training()
    mean, deviation, floor = show_statistics(one).axes
    for axes, value in ((mean, one.pooled.mean[0]), (deviation, one.pooled.deviation[0])):
        (line,) = (line for line in axes.lines if line.get_linestyle() == "--")
        assert set(np.asarray(line.get_ydata())) == {value}
    assert len(floor.lines) == 1


def test_a_line_a_held_out_fold_and_a_colour_a_waveform_variant() -> None:
    sets = [training(fold, waveform) for waveform in ("raw", "standardized") for fold in (1, 2, 3)]  # type: ignore[arg-type]
    figure = show_statistics(sets)
    for axes in figure.axes:
        assert [line.get_label() for line in curves(axes)] == [
            f"{name} waveform, fold {fold} held out" for name in ("raw", "standardised") for fold in (1, 2, 3)
        ]
        colours = [to_rgb(line.get_color()) for line in curves(axes)]
        assert colours == [to_rgb(style.COLOURS[mode]) for mode in ("none", "waveform") for _ in range(3)]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "raw waveform",
        "standardised waveform",
        "all bins as one (global)",
    ]


def test_the_statistics_words_and_units() -> None:
    figure = show_statistics([training(1), training(2)])
    mean, deviation, floor = figure.axes
    assert [axes.get_ylabel() for axes in figure.axes] == ["mean (dB)", "deviation (dB)", "share (%)"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "frequency (Hz)"]
    assert floor.get_title(loc="left") == "Share of values at the floor of −100 dB, digital silence"
    assert deviation.get_ylim()[0] == 0  # read as a proportion
    assert floor.get_ylim()[0] == 0
    assert mean.get_xlim() == floor.get_xlim()
    figure.draw_without_rendering()
    lefts = [axes.yaxis.label.get_window_extent().x0 for axes in figure.axes]  # pixels
    np.testing.assert_allclose(lefts, lefts[0], **EXACT)
    assert figure.get_suptitle().endswith("a line for each of 2 held-out folds")
    assert show_statistics(training(4)).get_suptitle().endswith("fold 4 held out")
    assert show_statistics(training(), title="mine").get_suptitle() == "mine"


def test_mel_bands_take_the_same_room_in_every_panel() -> None:
    figure = show_statistics(training(params=MEL))
    frequencies_hz = FrontEnd(MEL).bin_frequencies_hz
    for axes in figure.axes:
        places = axes.transData.transform(np.column_stack([frequencies_hz, np.ones(MEL.bins)]))[:, 0]
        # Edges are half-way between centres in hertz, so on a bent axis a centre is not quite the middle of its bin.
        np.testing.assert_allclose(np.diff(places), np.diff(places).mean(), rtol=0.03)
    assert list(shown_ticks(figure.axes[2], "x")) == ["100", "500", "1000", "2000", "5000"]


@pytest.mark.parametrize("silent", [0.0, 1.0])
@pytest.mark.parametrize("name", EVERY)
def test_no_words_of_the_statistics_overlap_or_leave_them(name: str, silent: float) -> None:
    sets = [
        training(fold, waveform, EVERY[name], silent=silent)
        for waveform in ("raw", "standardized")
        for fold in (1, 2)  # type: ignore[arg-type]
    ]
    assert_nothing_overlaps(show_statistics(sets))


@pytest.mark.parametrize(("sets", "count"), [([], 0), ([training(), training(params=MEL)], 2)])
def test_statistics_of_no_or_of_several_front_ends_are_refused(sets: list[TrainingStatistics], count: int) -> None:
    with pytest.raises(ValueError, match=f"statistics of one front end were expected, got {count}"):
        show_statistics(sets)


# --- files


def test_the_same_input_gives_the_same_file() -> None:
    for draw in (
        lambda: show_waveform(np.linspace(-1, 1, 100), 16000).figure,
        lambda: show_spectrogram(level(MEL), MEL).figure,
        lambda: show_statistics(training()),
    ):
        assert svg(draw()) == svg(draw())
