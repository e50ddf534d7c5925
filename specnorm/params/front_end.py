"""The parameters of the front end: from a waveform to a spectrogram."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from specnorm import mel_scale
from specnorm.params.strict import NotNegative, Positive, Strict
from specnorm.refusal import relation

Storage = Literal["float32", "float16"]

# Of a clip's spectrum: 17 GB, and more than twice that while it is computed. Many machines have less.
MOST_VALUES = 2**31


class _FrontEndParams(Strict):
    sample_rate: Annotated[int, Field(ge=1000, le=192000)]  # Hz, after resampling
    resampler: Literal["polyphase", "sinc"]
    clip_seconds: Annotated[float, Field(gt=0, le=600)]  # clips are cut or padded with zeros to this
    # Samples. An odd one loses the last frame, and torchaudio's mel filters take the last bin to be at half the rate.
    n_fft: Annotated[int, Field(ge=2, le=65536, multiple_of=2)]
    win_length: Annotated[int, Field(ge=1, le=65536)]  # samples
    hop_length: Annotated[int, Field(ge=1, le=65536)]  # samples
    # Power: the floor is 10 log10(amin) dB. Within float32's normal numbers, which the spectrogram is computed in.
    amin: Annotated[float, Field(ge=2.0**-126, lt=2.0**128)]
    top_db: Positive | None  # dB below a clip's own maximum; null: no clamp
    storage: Storage = "float32"  # of cached spectrograms, which float16 halves and rounds

    @property
    def samples(self) -> int:
        """Length of a clip in samples after resampling."""
        return round(self.clip_seconds * self.sample_rate)

    @property
    def frames(self) -> int:
        """Length of a spectrogram in frames (centred frames: one more than the hops)."""
        return self.samples // self.hop_length + 1

    @property
    def spectrum(self) -> int:
        """How many complex values the Fourier transforms of a clip make."""
        return (self.n_fft // 2 + 1) * self.frames

    @model_validator(mode="after")
    def _window_fits(self) -> _FrontEndParams:
        if self.win_length > self.n_fft:
            raise relation("win_length", f"at most n_fft, {self.n_fft}", self.win_length)
        if self.samples <= self.n_fft // 2:
            least = f"more than {self.n_fft // 2} samples, half of n_fft"
            raise relation("clip_seconds", least, self.samples)
        if self.spectrum > MOST_VALUES:
            least_hop = self.samples // (MOST_VALUES // (self.n_fft // 2 + 1)) + 1
            enough = f"at least {least_hop}, for at most 2^31 values of a clip's spectrum"
            raise relation("hop_length", enough, self.hop_length)
        return self


class LinearParams(_FrontEndParams):
    """A power spectrogram with one bin per FFT frequency."""

    transform: Literal["linear"]

    @property
    def bins(self) -> int:
        """Number of frequency bins."""
        return self.n_fft // 2 + 1


class MelParams(_FrontEndParams):
    """A power spectrogram through a mel filter bank."""

    transform: Literal["mel"]
    n_mels: Annotated[int, Field(ge=1, le=4096)]
    f_min: NotNegative  # Hz
    f_max: Positive | None  # Hz; null: half the sample rate
    mel_scale: Literal["htk", "slaney"]
    mel_norm: Literal["slaney"] | None

    @property
    def bins(self) -> int:
        """Number of mel bands."""
        return self.n_mels

    @model_validator(mode="after")
    def _band_exists(self) -> MelParams:
        nyquist = self.sample_rate / 2
        f_max = nyquist if self.f_max is None else self.f_max
        if f_max > nyquist:
            raise relation("f_max", f"at most half the sample rate, {nyquist:g} Hz", f_max)
        if self.f_min >= f_max:
            raise relation("f_min", f"less than f_max, {f_max:g} Hz", self.f_min)
        empty = mel_scale.empty_bands(
            mel_scale.points_hz(self.f_min, f_max, self.n_mels, self.mel_scale),
            n_fft=self.n_fft,
            sample_rate=self.sample_rate,
        )
        if empty:
            remedy = f"lower n_mels, or raise n_fft, {self.n_fft}, or f_min, {self.f_min:g} Hz"
            raise relation("n_mels", f"bands that all hold an FFT bin, and {empty} hold none: {remedy}", self.n_mels)
        return self


SpectrogramParams = Annotated[LinearParams | MelParams, Field(discriminator="transform")]
