"""The front end: a waveform becomes a spectrogram in decibels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from specnorm.audio import mel_bands
from specnorm.errors import DataError
from specnorm.params import LinearParams, MelParams
from specnorm.refusal import refusal

if TYPE_CHECKING:  # resampling brings scipy, and a spectrogram does without
    from specnorm.audio.resample import Resampler

# Part of the fingerprint of everything made from spectrograms: raise it with any change to the numbers that the same
# bytes and settings give, here or elsewhere in `specnorm.audio`.
NUMERICS_VERSION = 2

# Far beyond any waveform, and its power is still far below float32's largest value for the longest window.
_HIGHEST_AMPLITUDE = 1e12

_Params = TypeVar("_Params", LinearParams, MelParams)


def describe(params: LinearParams | MelParams) -> dict[str, Any]:
    """What determines the numbers of a spectrogram, as JSON-like values to take a fingerprint of.

    Storage in float32 changes none, and goes without saying.
    """
    left_out = {"storage"} if params.storage == "float32" else set()
    return {"numerics_version": NUMERICS_VERSION, **params.model_dump(mode="json", exclude=left_out)}


class FrontEnd(torch.nn.Module):
    """Waveform [..., samples] -> dB spectrogram [..., 1, bins, frames], float32.

    The power spectrogram as ``torchaudio`` defines it (Hann window, centred frames, reflect padding), summed into the
    mel bands of its filters where ``params`` says so, then 10 log10(max(power, amin)). With ``top_db``, levels are
    raised to at least the clip's own maximum less ``top_db``, each clip by itself, whatever stands beside it in the
    batch.

    Raises:
        ConfigurationError: a mel band holds no FFT bin.
    """

    def __init__(self, params: LinearParams | MelParams) -> None:
        super().__init__()
        self.params = params
        self.window: Tensor
        self.filters: Tensor | None
        self.register_buffer("window", torch.hann_window(params.win_length), persistent=False)
        filters = mel_bands.filters(params) if isinstance(params, MelParams) else None
        self.register_buffer("filters", filters, persistent=False)  # [FFT bins, bands]

    @classmethod
    def linear(
        cls,
        *,
        sample_rate: int = 16000,
        clip_seconds: float = 5.0,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int = 200,
        amin: float = 1e-10,
        top_db: float | None = None,
        resampler: Resampler = "polyphase",
    ) -> Self:
        """One bin per FFT frequency; the defaults are the published experiment's: 25 ms windows, half overlapping.

        Args:
            sample_rate: Hz, of the waveforms that it takes; :func:`specnorm.load_clip` resamples files to it.
            clip_seconds: length of the waveforms.
            n_fft: samples; it makes ``n_fft // 2 + 1`` bins.
            win_length: samples; ``n_fft`` where not given.
            hop_length: samples from frame to frame.
            amin: the least power: the floor is 10 log10(amin) dB.
            top_db: dB below a clip's own maximum that levels are raised to.
            resampler: of :func:`specnorm.load_clip`.

        Raises:
            ConfigurationError: a value is of the wrong type or out of range; the message names it.

        >>> front = FrontEnd.linear(sample_rate=16000)
        >>> front(torch.zeros(8, 80000)).shape
        torch.Size([8, 1, 201, 401])
        """
        values = {
            "transform": "linear",
            "sample_rate": sample_rate,
            "clip_seconds": clip_seconds,
            "n_fft": n_fft,
            "win_length": n_fft if win_length is None else win_length,
            "hop_length": hop_length,
            "amin": amin,
            "top_db": top_db,
            "resampler": resampler,
        }
        return cls(_checked(LinearParams, values))

    @classmethod
    def mel(
        cls,
        *,
        sample_rate: int = 16000,
        clip_seconds: float = 5.0,
        n_fft: int = 1024,
        win_length: int = 400,
        hop_length: int = 160,
        amin: float = 1e-10,
        top_db: float | None = None,
        resampler: Resampler = "polyphase",
        n_mels: int = 128,
        f_min: float = 20.0,
        f_max: float | None = None,
        mel_scale: Literal["htk", "slaney"] = "htk",
        mel_norm: Literal["slaney"] | None = None,
    ) -> Self:
        """Power summed into mel bands; by default 128 of them, of 25 ms windows every 10 ms.

        Args:
            sample_rate: as :meth:`linear`, and so all that is not named here.
            n_mels: number of bands.
            f_min: Hz, where the lowest band begins.
            f_max: Hz, where the highest band ends; half the sample rate where not given.
            mel_scale: O'Shaughnessy's as in HTK, or Slaney's, which is linear below 1 kHz.
            mel_norm: ``slaney`` divides a band by its width; without it a band sums to more the wider it is.

        Raises:
            ConfigurationError: a value is of the wrong type or out of range, or a band holds no FFT bin.
            ResourceError: torchaudio, which makes the filters, does not fit the torch that is installed.

        >>> front = FrontEnd.mel(n_mels=64, clip_seconds=1.0)
        >>> front(torch.zeros(8, 16000)).shape
        torch.Size([8, 1, 64, 101])
        """
        values = {
            "transform": "mel",
            "sample_rate": sample_rate,
            "clip_seconds": clip_seconds,
            "n_fft": n_fft,
            "win_length": win_length,
            "hop_length": hop_length,
            "amin": amin,
            "top_db": top_db,
            "resampler": resampler,
            "n_mels": n_mels,
            "f_min": f_min,
            "f_max": f_max,
            "mel_scale": mel_scale,
            "mel_norm": mel_norm,
        }
        return cls(_checked(MelParams, values))

    @property
    def bins(self) -> int:
        """Number of frequency bins, or mel bands."""
        return self.params.bins

    @property
    def frames(self) -> int:
        """Number of frames of a clip."""
        return self.params.frames

    @property
    def bin_frequencies_hz(self) -> NDArray[np.float64]:
        """Centre of each bin in Hz, float64 [bins]: of the FFT bins, or of the mel bands."""
        if isinstance(self.params, MelParams):
            return mel_bands.centres_hz(self.params)
        return np.arange(self.bins, dtype=np.float64) * self.params.sample_rate / self.params.n_fft

    @property
    def floor_db(self) -> float:
        """The level of digital silence, the lowest there is: 10 log10(amin)."""
        return float(self._level_db(torch.zeros(1, 1, 1)))

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform float32 [..., samples] -> level in dB, float32 [..., 1, bins, frames].

        Raises:
            DataError: the last axis is not a clip's length, there is no clip, or a value is not float32 or not finite.
        """
        if not waveform.numel() or waveform.shape[-1:] != (self.params.samples,):
            raise DataError(
                "bad waveform",
                where="the front end",
                expected=f"{self.params.samples} samples on the last axis of one clip or more",
                got=f"shape {tuple(waveform.shape)}",
            )
        if waveform.dtype != torch.float32:
            raise DataError("bad waveform", where="the front end", expected="float32", got=waveform.dtype)
        # One pass: a NaN makes the maximum a NaN, and no comparison with it is true.
        if not waveform.abs().amax() <= _HIGHEST_AMPLITUDE:
            bad = torch.nonzero(~(waveform.abs() <= _HIGHEST_AMPLITUDE))[0].tolist()
            raise DataError(
                "bad waveform",
                where="the front end",
                expected="finite values",
                got=f"{waveform[tuple(bad)].item()} at index {bad}",
            )
        # Mixed precision would round the mel bands to bfloat16, by up to 0.2 dB.
        with torch.autocast(waveform.device.type, enabled=False):
            return self.levels(waveform)

    def levels(self, waveform: Tensor) -> Tensor:
        """:meth:`forward` without its checks, which depend on the values and so cannot be part of an exported graph."""
        return self._level_db(self._power(waveform)).unsqueeze(-3)

    def _power(self, waveform: Tensor) -> Tensor:
        """Waveform [..., samples] -> power [..., bins, frames]."""
        spectrum = torch.stft(
            waveform.reshape(-1, self.params.samples),  # [clips, samples]
            self.params.n_fft,
            self.params.hop_length,
            self.params.win_length,
            self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        # Without the root that a magnitude takes and its square undoes: twice as fast, and closer to the true power.
        power = spectrum.real.square() + spectrum.imag.square()  # [clips, FFT bins, frames]
        if self.filters is not None:
            power = (power.mT @ self.filters).mT  # [clips, bands, frames]
        return power.reshape(*waveform.shape[:-1], *power.shape[-2:])

    def _level_db(self, power: Tensor) -> Tensor:
        """Power [..., bins, frames] -> dB, in the same memory."""
        level = power.clamp_(min=self.params.amin).log10_().mul_(10.0)
        if self.params.top_db is None:
            return level
        return torch.maximum(level, level.amax(dim=(-2, -1), keepdim=True) - self.params.top_db)


def _checked(model: type[_Params], values: dict[str, Any]) -> _Params:
    """Hold values to their ranges, as those of a parameter file are."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise refusal(error, where="the front end", sections={(): model}) from None
