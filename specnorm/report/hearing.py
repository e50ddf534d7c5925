"""Clips that the modes disagree on, to be heard and seen in the page: the sound, and what each mode makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from specnorm.audio.clip import waveforms_of
from specnorm.audio.front_end import FrontEnd
from specnorm.comparison.inputs import Inputs, TrainedMode
from specnorm.comparison.outcomes import Outcomes
from specnorm.datasets.dataset import open_dataset
from specnorm.errors import one_line
from specnorm.params import LinearParams, MelParams, Waveform
from specnorm.report import embedded
from specnorm.report.sound import reach
from specnorm.report.telling import telling

_LIKELIEST = 3  # classes that are told of each mode
_LONGEST_S = 20.0  # of a clip's sound in the page: some 100 kB


@dataclass(frozen=True)
class Guess:
    """A class that a mode thinks of, the mean of its probability over seeds, and whether it is the actual one."""

    label: str
    probability: float
    actual: bool


@dataclass(frozen=True)
class View:
    """A clip as one mode has it.

    Attributes:
        mode: its name.
        right: how many seeds get the clip right.
        picture: address of the spectrogram as the mode hands it to the network.
        low: level of its darkest colour.
        high: level of its brightest colour.
        unit: of the levels.
        guesses: the likeliest classes, the likeliest first.
    """

    mode: str
    right: int
    picture: str
    low: float
    high: float
    unit: str
    guesses: tuple[Guess, ...]


@dataclass(frozen=True)
class Heard:
    """A clip with its sound.

    Attributes:
        name: of its file.
        label: its actual class.
        fold: that held it out.
        sound: address of the waveform as the front end takes it, mono.
        peak_db: its highest sample below full scale, in dB; ``None`` for digital silence.
        views: a mode each.
    """

    name: str
    label: str
    fold: int
    sound: str
    peak_db: float | None
    views: tuple[View, ...]


@dataclass(frozen=True)
class Hearing:
    """What the page lets one hear.

    Attributes:
        clips: the most telling ones first.
        among: how many clips there were to choose from, at most one a source recording.
        seeds: of each mode.
        sample_rate: of the sounds, Hz.
        seconds: that a spectrogram shows.
        played_s: seconds of it that can be heard.
        lowest_hz: of the spectrograms' frequencies.
        highest_hz: of the spectrograms' frequencies.
    """

    clips: tuple[Heard, ...]
    among: int
    seeds: int
    sample_rate: int
    seconds: float
    played_s: float
    lowest_hz: float
    highest_hz: float


def hear(
    archive: Path,
    found: Outcomes,
    clips: pd.DataFrame,
    labels: Sequence[str],
    modes: Callable[[int], Mapping[str, TrainedMode]],
    front_end: LinearParams | MelParams,
    *,
    most: int,
) -> Hearing | None:
    """Gather the most telling clips; nothing where none are wanted, or where one mode has nobody to disagree with.

    Args:
        archive: the folder of the data set.
        found: predictions of every mode for the clips.
        clips: from :func:`specnorm.comparison.outcomes.held_out_clips`.
        labels: the classes in their order.
        modes: all modes, trained with a fold held out.
        front_end: the parameters of the spectrograms.
        most: how many clips.

    Raises:
        DataError: a clip cannot be decoded.
        IntegrityError: the archive is damaged, or what a mode was trained to be.
    """
    if not most or len(found.probabilities) == 1:
        return None
    places = telling(found, clips)
    front = FrontEnd(front_end)
    folds = {place: int(clips["fold"].iloc[place]) for place in places[:most]}
    heard: dict[int, Heard] = {}
    with open_dataset(archive) as dataset:
        members = dataset.clips.set_index("clip")["member"]
        for fold in sorted(set(folds.values())):  # so that each fold's modes are read once
            trained = modes(fold)
            for place in (each for each, own in folds.items() if own == fold):
                name = str(clips["clip"].iloc[place])
                _, waveforms = waveforms_of(dataset.read(str(members[name])), front_end, name=name)
                heard[place] = _heard(found, clips.iloc[place], place, waveforms, trained, front, labels)
    return Hearing(
        clips=tuple(heard[place] for place in folds),
        among=len(places),
        seeds=len(next(iter(found.probabilities.values()))),
        sample_rate=front_end.sample_rate,
        seconds=front_end.samples / front_end.sample_rate,
        played_s=min(front_end.samples / front_end.sample_rate, _LONGEST_S),
        lowest_hz=float(front.bin_frequencies_hz[0]),
        highest_hz=float(front.bin_frequencies_hz[-1]),
    )


def _heard(
    found: Outcomes,
    clip: pd.Series,
    place: int,
    waveforms: Mapping[Waveform, NDArray[np.float32]],
    modes: Mapping[str, TrainedMode],
    front: FrontEnd,
    labels: Sequence[str],
) -> Heard:
    raw, rate = waveforms["raw"], front.params.sample_rate
    with torch.no_grad():
        levels = {waveform: front(torch.from_numpy(each))[None] for waveform, each in waveforms.items()}
    inputs = Inputs([str(clip["clip"])], levels, modes)
    peak = float(np.abs(raw).max())
    return Heard(
        name=one_line(clip["clip"]),
        label=one_line(clip["label"]),
        fold=int(clip["fold"]),
        sound=embedded.sound(raw[: round(_LONGEST_S * rate)], rate),
        peak_db=20 * math.log10(peak) if peak else None,
        views=tuple(_view(mode, inputs, found, place, labels) for mode in found.probabilities),
    )


def _view(mode: str, inputs: Inputs, found: Outcomes, place: int, labels: Sequence[str]) -> View:
    given = inputs.of(mode)[0, 0].numpy()  # [bins, frames]
    low, high = reach(given)
    by_seed = found.probabilities[mode][:, place]  # [seeds, classes]
    mean, target = by_seed.mean(axis=0), int(found.targets[place])
    likeliest = np.argsort(-mean, kind="stable")[:_LIKELIEST]
    return View(
        mode=mode,
        right=int(np.count_nonzero(by_seed.argmax(axis=1) == target)),
        picture=embedded.picture(given, (low, high)),
        low=low,
        high=high,
        unit=inputs.unit(mode),
        guesses=tuple(Guess(one_line(labels[each]), float(mean[each]), bool(each == target)) for each in likeliest),
    )
