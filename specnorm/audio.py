"""Audio: the bytes of a file become a checked mono waveform, resampled, of one length, standardised.

Nothing here opens a file. The bytes are not trusted: what a header claims is checked before anything is allocated, and
what libsndfile decodes is checked against the claim, because libsndfile alone shortens a cut file in silence.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.signal
import soundfile
from numpy.typing import NDArray

from specnorm.containers import check_layout, check_whole, container_of, truncated
from specnorm.errors import ConfigurationError, DataError

Resampler = Literal["polyphase", "sinc"]

# Lossy decoders overshoot full scale by a factor of up to about 2, so values beyond 1 are legal and kept as they are.
# Integer samples stored as floats are beyond this limit by orders of magnitude in all but the quietest files.
HIGHEST_LEVEL = 8.0

# A downmix this far below its channels is no longer the recording but what their rounding left of it.
CANCELLED_DB = -60.0

# Sinc resampling tabulates its kernel: rates without a common divisor would ask for gigabytes.
_MOST_KERNEL_VALUES = 2**24

_PLAIN_SUBTYPES = {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"}


@dataclass(frozen=True, eq=False)
class Clip:
    """A decoded recording.

    Attributes:
        waveform: float32 [samples], mono, full scale 1.0; finite, at least one sample.
        sample_rate: in Hz.
        warnings: what is legal but strange, one sentence each.
    """

    waveform: NDArray[np.float32]
    sample_rate: int
    warnings: tuple[str, ...] = ()


def decode(data: bytes, *, name: str, max_seconds: float = 600.0) -> Clip:
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
    claimed = check_whole(container, data, name)
    try:
        with soundfile.SoundFile(_Source(data)) as file:
            rate, channels, frames = int(file.samplerate), int(file.channels), int(file.frames)
            check_layout(name, rate=rate, channels=channels, frames=frames, max_seconds=max_seconds)
            if container in ("WAV", "AIFF") and file.subtype not in _PLAIN_SUBTYPES:
                raise DataError("unsupported encoding", where=name, expected="PCM or float samples", got=file.subtype)
            samples = file.read(dtype="float32", always_2d=True)  # [frames, channels]
    except soundfile.SoundFileError as error:
        raise DataError("undecodable audio", where=name, expected=f"a whole {container} file", got=error) from error
    expected = frames if claimed is None else claimed
    if len(samples) != expected or frames != expected:
        raise truncated(name, f"{expected} frames by the header", f"{len(samples)}")
    _check_samples(samples, name)
    waveform, warnings = _downmix(samples)
    return Clip(waveform, rate, warnings)


def prepare(
    clip: Clip, *, sample_rate: int, samples: int, resampler: Resampler
) -> dict[Literal["raw", "standardized"], NDArray[np.float32]]:
    """Both waveform variants of a clip, float32 [samples] at ``sample_rate`` Hz.

    ``raw`` is the clip resampled and fitted to ``samples``; ``standardized`` is :func:`standardize` of that.
    """
    raw = fit_length(resample(clip.waveform, clip.sample_rate, sample_rate, resampler), samples)
    return {"raw": raw, "standardized": standardize(raw)}


def resample(waveform: NDArray[np.float32], orig_hz: int, target_hz: int, method: Resampler) -> NDArray[np.float32]:
    """Resample float32 [n] to float32 [ceil(n * target_hz / orig_hz)]; the same rate returns the waveform itself.

    ``polyphase`` is ``scipy.signal.resample_poly`` with its defaults (Kaiser window, beta 5, half-power at the lower
    Nyquist frequency), in float32 as in the published experiment. ``sinc`` is ``torchaudio.functional.resample`` with
    its defaults (Hann window, 6 zero crossings, roll-off 0.99).

    In the band both keep levels: within 0.1 dB up to 0.85 (polyphase) and 0.7 (sinc) of the lower Nyquist frequency.
    Neither is sharp at its edge: at 0.9 of it they lose 0.7 and 2.4 dB, and a tone at 1.2 of it, which should vanish,
    leaves an alias of -55 and -28 dB; below -60 dB are tones beyond 1.35 and 1.55 of it.

    Raises:
        DataError: ``sinc`` would need a kernel of gigabytes, because the rates have hardly a common divisor.

    >>> resample(np.ones(5, np.float32), 44100, 16000, "polyphase").shape
    (2,)
    """
    if orig_hz == target_hz:
        return waveform
    if method == "polyphase":
        divisor = math.gcd(orig_hz, target_hz)
        resampled = scipy.signal.resample_poly(waveform, target_hz // divisor, orig_hz // divisor)
        return np.asarray(resampled, dtype=np.float32)
    if method == "sinc":
        return _resample_sinc(waveform, orig_hz, target_hz)
    raise ConfigurationError("unknown resampler", expected="polyphase or sinc", got=method)


def fit_length(waveform: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """Cut the end or append zeros, so that [n] becomes [samples]; always a copy.

    >>> fit_length(np.array([1, 2], np.float32), 3).tolist()
    [1.0, 2.0, 0.0]
    """
    fitted = np.zeros(samples, dtype=np.float32)
    kept = waveform[:samples]
    fitted[: len(kept)] = kept
    return fitted


def standardize(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """(x - mean) / std of float32 [n], computed in float64 with the population deviation.

    A clip that is constant gives zeros. It counts as constant when its deviation is no more than float32 rounding of
    its peak, so that the rounding of a constant is never blown up to unit deviation.

    >>> standardize(np.array([1, 3], np.float32)).tolist()
    [-1.0, 1.0]
    >>> standardize(np.full(4, 0.1, np.float32)).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    exact = waveform.astype(np.float64)
    peak = np.abs(exact).max()
    exact -= exact.mean()
    deviation = math.sqrt(np.mean(np.square(exact)))
    if deviation <= np.finfo(np.float32).eps * peak:
        return np.zeros(waveform.shape, dtype=np.float32)
    return (exact / deviation).astype(np.float32)


def zero_fraction(waveform: NDArray[np.float32]) -> float:
    """Share of the samples that are exactly zero: 1.0 is digital silence.

    >>> zero_fraction(np.array([0, 0.5, 0, 0], np.float32))
    0.75
    """
    return 1.0 - float(np.count_nonzero(waveform)) / waveform.size


class _Source(io.BytesIO):
    """Bytes that answer an impossible seek by staying where they are: libsndfile asks damaged files for them."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


def _check_samples(samples: NDArray[np.float32], name: str) -> None:
    """Refuse [frames, channels] that hold a value that is not finite or not a level."""
    peak = float(np.abs(samples).max())
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


def _downmix(samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Mean over the channels of [frames, channels] -> [frames], and a warning where they cancel each other."""
    waveform = np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32))
    channel_power = np.mean(np.square(samples, dtype=np.float64))
    if np.mean(np.square(waveform, dtype=np.float64)) < channel_power * 10 ** (CANCELLED_DB / 10):
        return waveform, (f"the channels cancel: their mean is more than {-CANCELLED_DB:g} dB below them",)
    return waveform, ()


def _resample_sinc(waveform: NDArray[np.float32], orig_hz: int, target_hz: int) -> NDArray[np.float32]:
    divisor = math.gcd(orig_hz, target_hz)
    orig, target = orig_hz // divisor, target_hz // divisor
    kernel = target * (orig + 2 * math.ceil(6 * orig / (0.99 * min(orig, target))))
    if kernel > _MOST_KERNEL_VALUES:
        raise DataError(
            f"sinc resampling from {orig_hz} to {target_hz} Hz is too large",
            expected=f"a kernel of at most {_MOST_KERNEL_VALUES} values",
            got=kernel,
            hint="Set spectrogram.resampler to polyphase",
        )
    import torch  # heavy, and only this method needs them
    import torchaudio.functional

    resampled = torchaudio.functional.resample(torch.from_numpy(waveform), orig_hz, target_hz)
    return np.asarray(resampled.numpy(), dtype=np.float32)
