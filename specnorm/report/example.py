"""One clip that the pictures show, from its file on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from specnorm.audio.decode import decode
from specnorm.audio.waveform import prepare
from specnorm.datasets.dataset import open_dataset
from specnorm.params import LinearParams, MelParams, Waveform


@dataclass(frozen=True)
class Example:
    """One clip: ``waveforms`` ``[samples]`` by variant; ``row`` is its place among the inputs."""

    name: str
    label: str
    row: int
    waveforms: Mapping[Waveform, NDArray[np.float32]]


def read(archive: Path, names: list[str], front_end: LinearParams | MelParams, *, row: int = 0) -> Example:
    """Decode a clip of the data set and prepare it as the spectrograms' clips were.

    Args:
        archive: the folder of the data set.
        names: the inputs' clips.
        front_end: the parameters of the spectrograms.
        row: which of the clips.

    Raises:
        DataError: the clip cannot be decoded.
        IntegrityError: the archive is damaged.
    """
    with open_dataset(archive) as dataset:
        found = dataset.clips.set_index("clip").loc[names[row]]
        clip = decode(dataset.read(str(found["member"])), name=names[row])
    waveforms = prepare(
        clip, sample_rate=front_end.sample_rate, samples=front_end.samples, resampler=front_end.resampler
    )
    return Example(names[row], str(found["label"]), row, waveforms)
