"""Resampling: a waveform at another rate, by polyphase filtering or by a windowed sinc."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from specnorm.audio.torchaudio_functional import torchaudio_functional
from specnorm.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from torch import Tensor

Resampler = Literal["polyphase", "sinc"]

# Sinc resampling tabulates its kernel: rates without a common divisor would ask for gigabytes. Polyphase resampling
# needs far fewer values, and what it has no table for it leaves to scipy: 16 MiB reach from 96001 to 16000 Hz.
_MOST_KERNEL_VALUES = 2**24
_MOST_TABLE_VALUES = 2**22

# Outputs that share a window of inputs in polyphase resampling. More of them multiply more zeros, fewer of them make
# more products than pay: the fastest of 8, 16, 20, 32, 40 and 80 from 44.1 to 16 kHz.
_PHASES = 16


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
    import torch  # heavy, and only resampling needs it

    resampled = torchaudio_functional().resample(torch.from_numpy(waveform), orig_hz, target_hz)
    return np.asarray(resampled.numpy(), dtype=np.float32)
