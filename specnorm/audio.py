"""Audio: the bytes of a file become a checked mono waveform, resampled, of one length, standardised.

Nothing here opens a file. The bytes are not trusted: what a header claims is checked before anything is allocated, and
what libsndfile decodes is checked against the claim, because libsndfile alone shortens a cut file in silence.
"""

from __future__ import annotations

import functools
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy.signal
import soundfile
from numpy.typing import NDArray

from specnorm.containers import check_layout, check_whole, container_of, truncated
from specnorm.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from torch import Tensor

Resampler = Literal["polyphase", "sinc"]

# Lossy decoders overshoot full scale by a factor of up to about 2, so values beyond 1 are legal and kept as they are.
# Integer samples stored as floats are beyond this limit by orders of magnitude in all but the quietest files.
HIGHEST_LEVEL = 8.0

# A downmix this far below its channels is no longer the recording but what their rounding left of it.
CANCELLED_DB = -60.0

# Sinc resampling tabulates its kernel: rates without a common divisor would ask for gigabytes. Polyphase resampling
# needs far fewer values, and what it has no table for it leaves to scipy: 16 MiB reach from 96001 to 16000 Hz.
_MOST_KERNEL_VALUES = 2**24
_MOST_TABLE_VALUES = 2**22

# Outputs that share a window of inputs in polyphase resampling. More of them multiply more zeros, fewer of them make
# more products than pay: the fastest of 8, 16, 20, 32, 40 and 80 from 44.1 to 16 kHz.
_PHASES = 16

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
            if file.subtype == "PCM_16":  # the same numbers as libsndfile's own scaling, in a fifth of its time
                samples = file.read(dtype="int16", always_2d=True) * np.float32(2**-15)  # [frames, channels]
            else:
                samples = file.read(dtype="float32", always_2d=True)
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

    ``polyphase`` is the filter of ``scipy.signal.resample_poly`` with its defaults (Kaiser window, beta 5, half-power
    at the lower Nyquist frequency), in float32 as in the published experiment and equal to it but for the order of its
    sums. ``sinc`` is ``torchaudio.functional.resample`` with its defaults (Hann window, 6 zero crossings, roll-off
    0.99).

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
        return _resample_polyphase(waveform, orig_hz, target_hz)
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
    exact -= exact.mean()
    deviation = math.sqrt(np.mean(np.square(exact)))
    if deviation <= np.finfo(np.float32).eps * _peak(waveform):
        return np.zeros(waveform.shape, dtype=np.float32)
    exact /= deviation
    return exact.astype(np.float32)


def zero_fraction(waveform: NDArray[np.float32]) -> float:
    """Share of the samples that are exactly zero: 1.0 is digital silence.

    >>> zero_fraction(np.array([0, 0.5, 0, 0], np.float32))
    0.75
    """
    return 1.0 - float(np.count_nonzero(waveform != 0)) / waveform.size


class _Source(io.BytesIO):
    """Bytes that answer an impossible seek by staying where they are: libsndfile asks damaged files for them."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


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


def _resample_polyphase(waveform: NDArray[np.float32], orig_hz: int, target_hz: int) -> NDArray[np.float32]:
    """``scipy.signal.resample_poly`` as matrix products: the windows of inputs times the filter's phases.

    ``period`` inputs give ``produced`` outputs, and the next ones are the same products one period on. So all outputs
    of one group of phases are one product: a matrix with a row a period, which is the waveform itself seen through
    overlapping windows, times a table that holds the filter once a phase, a column each.
    """
    divisor = math.gcd(orig_hz, target_hz)
    up, down = target_hz // divisor, orig_hz // divisor
    if up * _window(up, down) > _MOST_TABLE_VALUES:
        # Up to there a table pays even where it is used once: scipy designs the filter anew for every clip.
        return np.asarray(scipy.signal.resample_poly(waveform, up, down), dtype=np.float32)
    import torch  # heavy, and only resampling needs it

    repeats, starts, tables = _polyphase_tables(up, down)
    period, produced = down * repeats, up * repeats
    samples = -(-len(waveform) * up // down)
    periods = -(-samples // produced)
    width, phases = tables.shape[1:]
    padded = np.zeros((periods - 1) * period + starts[-1] - starts[0] + width, dtype=np.float32)
    padded[-starts[0] : len(waveform) - starts[0]] = waveform
    source, resampled = torch.from_numpy(padded), torch.empty(periods, produced)
    # torch multiplies with as many threads as it is told to use: in a pool of workers, one.
    for group, (start, table) in enumerate(zip(starts, tables, strict=True)):
        windows = source.as_strided((periods, width), (period, 1), start - starts[0])
        outputs = resampled[:, group * phases : (group + 1) * phases]
        torch.mm(windows, table[:, : outputs.shape[1]], out=outputs)
    return resampled.view(-1)[:samples].numpy()


def _group(up: int, down: int) -> int:
    """Number of outputs that share a window; when the rate rises, as many more of them lie side by side."""
    return _PHASES * -(-up // down)


def _window(up: int, down: int) -> int:
    """Number of inputs that the filter reaches from any of a group's outputs."""
    return ((_group(up, down) - 1) * down + 20 * max(up, down)) // up + 1


@functools.lru_cache(maxsize=8)
def _polyphase_tables(up: int, down: int) -> tuple[int, list[int], Tensor]:
    """The filter of ``scipy.signal.resample_poly``, laid out for matrix products.

    Returns:
        How often the ``up`` phases are repeated, so that windows overlap by less than one period; the first input of
        each group of outputs; its table, float32 [groups, inputs of a window, outputs of a group]. Output ``o`` is the
        sum of input ``i`` times tap ``half + o * down - i * up`` over all ``i``.
    """
    import torch

    half = 10 * max(up, down)
    taps = up * scipy.signal.firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0))
    width, phases = _window(up, down), _group(up, down)
    repeats = max(-(-width // down), -(-8 * _PHASES // up))
    outputs = np.arange(0, repeats * up, phases)  # the first of each group
    starts = -((half - outputs * down) // up)
    tap = (half + (outputs[:, None] + np.arange(phases)) * down)[:, None, :]
    tap = tap - ((starts[:, None] + np.arange(width)) * up)[:, :, None]  # [groups, width, phases]
    reached = (tap >= 0) & (tap <= 2 * half)
    tables = np.where(reached, taps[np.where(reached, tap, 0)], 0.0).astype(np.float32)
    return repeats, starts.tolist(), torch.from_numpy(tables)


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
    import torch  # heavy, and only resampling needs them
    import torchaudio.functional

    resampled = torchaudio.functional.resample(torch.from_numpy(waveform), orig_hz, target_hz)
    return np.asarray(resampled.numpy(), dtype=np.float32)
