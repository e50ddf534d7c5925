"""Decoding: the bytes of a file become a checked mono waveform.

Nothing here opens a file. The bytes are not trusted: what a header claims is checked before anything is allocated, and
what libsndfile decodes is checked against the claim, because libsndfile alone shortens a cut file in silence.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from specnorm.audio.containers import check_whole, container_of
from specnorm.audio.formats import flac, wav
from specnorm.audio.formats.layout import check_layout, truncated
from specnorm.errors import DataError

LONGEST_S = 600.0  # of a recording

# Lossy decoders overshoot full scale by a factor of up to about 2, so values beyond 1 are legal and kept as they are.
# Integer samples stored as floats are beyond this limit by orders of magnitude in all but the quietest files.
HIGHEST_LEVEL = 8.0

# A downmix this far below its channels is no longer the recording but what their rounding left of it.
CANCELLED_DB = -60.0


@dataclass(frozen=True, eq=False)
class Recording:
    """A decoded recording.

    Attributes:
        waveform: float32 [samples], mono, full scale 1.0; finite, at least one sample.
        sample_rate: in Hz.
        warnings: what is legal but strange, one sentence each.
    """

    waveform: NDArray[np.float32]
    sample_rate: int
    warnings: tuple[str, ...] = ()


def decode(data: bytes, *, name: str, max_seconds: float = LONGEST_S) -> Recording:
    """Decode a WAV, AIFF, FLAC, Ogg or MP3 file and mix it down to mono by the mean of its channels.

    Samples beyond full scale are kept, not clipped, up to :data:`HIGHEST_LEVEL`.

    Args:
        data: the whole file.
        name: what errors call it; its suffix must fit the bytes.
        max_seconds: longest duration accepted, by the header, before anything is decoded.

    Raises:
        DataError: the bytes are not audio, are cut, are of another format than the name says, or hold samples that
            are not finite or far beyond full scale.
    """
    container = container_of(data, name)
    promise = check_whole(container, data, name)
    try:
        with soundfile.SoundFile(_Source(data)) as file:
            rate, channels, frames = int(file.samplerate), int(file.channels), int(file.frames)
            check_layout(name, rate=rate, channels=channels, frames=frames, max_seconds=max_seconds)
            # As integers, the same numbers as libsndfile's own scaling, of 16 bits in a fifth of its time; and what a
            # FLAC file's digest is of. [frames, channels]
            if file.subtype == "PCM_16":
                whole = file.read(dtype="int16", always_2d=True)
                samples = whole * np.float32(2**-15)
                flac.check_samples(whole, promise, name)
            elif promise.md5 is not None:
                whole = file.read(dtype="int32", always_2d=True)
                samples = whole.astype(np.float32) * np.float32(2**-31)
                flac.check_samples(whole, promise, name)
            else:
                samples = file.read(dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise _undecodable(error, container, name) from error
    if len(samples) != frames or not promise.least <= frames <= (frames if promise.most is None else promise.most):
        raise truncated(name, f"{promise.most or frames} frames by the header", f"{len(samples)}")
    _check_samples(samples, name)
    waveform, warnings = _downmix(samples)
    return Recording(waveform, rate, promise.warnings + warnings)


def promised_seconds(data: bytes, *, size: int, name: str) -> float:
    """The length of a file by its header, without decoding it; that the file is whole is not yet said.

    Args:
        data: the whole file, or of a WAV file its head.
        size: the length of the whole file in bytes.
        name: what errors call it; its suffix must fit the bytes.

    Raises:
        DataError: the bytes have no such header, or it promises nothing or more than :data:`LONGEST_S`.
    """
    container = container_of(data, name)
    if container == "WAV":
        header = wav.header(data, size, where=name)
        rate, channels, frames = header.sample_rate, header.channels, header.frames
    else:
        try:
            with soundfile.SoundFile(_Source(data)) as file:
                rate, channels, frames = int(file.samplerate), int(file.channels), int(file.frames)
        except soundfile.SoundFileError as error:
            raise _undecodable(error, container, name) from error
    check_layout(name, rate=rate, channels=channels, frames=frames, max_seconds=LONGEST_S)
    return frames / rate


class _Source(io.BytesIO):
    """Bytes that answer an impossible seek by staying where they are: libsndfile asks damaged files for them."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


def _undecodable(error: soundfile.SoundFileError, container: str, name: str) -> DataError:
    # libsndfile's own words: the error puts the object that it read from before them.
    words = getattr(error, "error_string", "") or "an unknown error"
    return DataError("undecodable audio", where=name, expected=f"a whole {container} file", got=words)


def _check_samples(samples: NDArray[np.float32], name: str) -> None:
    """Refuse [frames, channels] that hold a value that is not finite or not a level."""
    peak = _peak(samples)
    if not math.isfinite(peak):
        index = int(np.flatnonzero(~np.isfinite(samples).all(axis=1))[0])
        value = samples[index][~np.isfinite(samples[index])][0]
        raise DataError("bad sample", where=name, expected="finite values", got=f"{value} at index {index}")
    if peak > HIGHEST_LEVEL:
        index = int(np.flatnonzero(np.abs(samples).max(axis=1) > HIGHEST_LEVEL)[0])
        raise DataError(
            "bad level",
            where=name,
            expected=f"float samples with full scale 1 (at most {HIGHEST_LEVEL:g})",
            got=f"a peak of {peak:g}, the first beyond at index {index}",
            hint="Integers stored as floats? Divide them by their full scale",
        )


def _peak(samples: NDArray[np.float32]) -> float:
    """Largest absolute value; NaN where there is one."""
    return float(np.maximum(samples.max(), -samples.min()))


def _downmix(samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Mean over the channels of [frames, channels] -> [frames], and a warning where they cancel each other."""
    if samples.shape[1] == 1:
        return samples[:, 0], ()
    waveform = np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32))
    channel_power = np.mean(np.square(samples, dtype=np.float64))
    if np.mean(np.square(waveform, dtype=np.float64)) < channel_power * 10 ** (CANCELLED_DB / 10):
        return waveform, (f"the channels cancel: their mean is more than {-CANCELLED_DB:g} dB below them",)
    return waveform, ()
