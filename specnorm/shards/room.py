"""Room for spectrograms: the memory that making them takes, and the disk that they fill, before any is made."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from specnorm.errors import ResourceError
from specnorm.memory import free_bytes
from specnorm.params import WAVEFORMS, LinearParams, MelParams, Waveform
from specnorm.shards.store import shard_name

AHEAD = 4  # clips in flight a worker: enough to keep it busy, few enough to bound memory
_FLOAT = 4  # bytes
# Bytes of a clip at work for each value of its spectrum, at the most: the complex value, the squares of its parts as
# they are taken, and their sum. The windowed frames, 8 bytes, are gone by then.
_SPECTRUM_BYTES = 20
# Bytes for each sample: both variants of the waveform and the float64 copies that standardising it takes.
_SAMPLE_BYTES = 40
_HOLES = 1.25  # what the allocators of several threads take for each byte in use: more than a tenth was measured
_FILTER_BYTES = 20  # for each weight of the mel filters, while they are made


class Pace(NamedTuple):
    """How many clips are worked on at a time, and how many are held at most, done or not."""

    workers: int
    ahead: int


def pace(params: LinearParams | MelParams, workers: int) -> Pace:
    """The fastest pace with up to ``workers`` threads that the free memory allows.

    Raises:
        ResourceError: not even one clip at a time fits; the message names both figures.
    """
    free = free_bytes()
    paces = [Pace(count, count * AHEAD) for count in range(workers, 0, -1)] + [Pace(1, 1)]
    for found in paces:
        if memory_bytes(params, found) <= free:
            return found
    raise ResourceError(
        "not enough memory for the spectrogram of one clip",
        where=f"{params.bins} bins and {params.frames} frames",
        expected=f"{_told(memory_bytes(params, paces[-1]))} free",
        got=_told(free),
        hint="Raise spectrogram.hop_length, or lower clip_seconds, sample_rate or n_fft",
    )


def stored_bytes(params: LinearParams | MelParams) -> int:
    """Of one cached spectrogram."""
    return params.bins * params.frames * np.dtype(params.storage).itemsize


def memory_bytes(params: LinearParams | MelParams, at: Pace) -> int:
    """The most that extraction takes for arrays at a pace, beside the clips' own files."""
    done = len(WAVEFORMS) * params.bins * params.frames * _FLOAT
    # While the second variant is computed, the first one waits.
    at_work = _SPECTRUM_BYTES * params.spectrum + _SAMPLE_BYTES * params.samples + done // len(WAVEFORMS)
    filters = _FILTER_BYTES * (params.n_fft // 2 + 1) * params.n_mels if isinstance(params, MelParams) else 0
    written = 1
    return int(_HOLES * (filters + at.workers * at_work + (at.ahead - at.workers + written) * done))


def shortage(error: MemoryError | RuntimeError) -> ResourceError | None:
    """The error for an allocation that failed, which torch reports as it does its own faults; none: it is another.

    Memory may be taken by others after it was free, or be held below what is free by a limit of the process alone.
    """
    if not isinstance(error, MemoryError) and "can't allocate memory" not in str(error):
        return None
    hint = "Free some, raise spectrogram.hop_length, or lower clip_seconds, sample_rate or n_fft"
    return ResourceError("out of memory", where="the spectrogram of a clip", got=error, hint=hint)


def check_disk(params: LinearParams | MelParams, clips: Mapping[int, int], folder: Path) -> None:
    """Refuse shards that the disk cannot hold, in place of those that stand in ``folder``.

    Args:
        params: of the front end.
        clips: how many there are in each fold, in the order in which the folds are written.
        folder: where the shards go.

    Raises:
        ResourceError: there is not enough space; the message names both figures.
    """
    needed = most = 0
    for fold, number in clips.items():
        needed += len(WAVEFORMS) * number * stored_bytes(params)
        most = max(most, needed)  # an old shard is given up when the new one is whole
        needed -= sum(_size(folder, waveform, fold) for waveform in WAVEFORMS)
    free = shutil.disk_usage(next(place for place in (folder, *folder.absolute().parents) if place.exists())).free
    if most > free:
        raise ResourceError(
            f"not enough disk space for the spectrograms of {sum(clips.values())} clips",
            where=folder,
            expected=f"{_told(most)} free",
            got=_told(free),
            hint="Free space, or raise spectrogram.hop_length or lower clip_seconds or n_fft",
        )


def _size(folder: Path, waveform: Waveform, fold: int) -> int:
    paths = takewhile(Path.is_file, (folder / shard_name(waveform, fold, part) for part in count()))
    return sum(path.stat().st_size for path in paths)


def _told(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e8 else f"{count / 1e6:.3g} MB"
