"""Audio: the bytes of a file become a checked mono waveform, resampled, of one length, standardised.

Nothing here opens a file. The bytes are not trusted: what a header claims is checked before anything is allocated, and
what libsndfile decodes is checked against the claim, because libsndfile alone shortens a cut file in silence.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import scipy.signal
import soundfile
from numpy.typing import NDArray

from specnorm.errors import ConfigurationError, DataError

Resampler = Literal["polyphase", "sinc"]

LOWEST_RATE_HZ = 1_000
HIGHEST_RATE_HZ = 768_000
MOST_CHANNELS = 2

# Lossy decoders overshoot full scale by a factor of up to about 2, so values beyond 1 are legal and kept as they are.
# Integer samples stored as floats are beyond this limit by orders of magnitude in all but the quietest files.
HIGHEST_LEVEL = 8.0

# A downmix this far below its channels is no longer the recording but what their rounding left of it.
CANCELLED_DB = -60.0

# Sinc resampling tabulates its kernel: rates without a common divisor would ask for gigabytes.
_MOST_KERNEL_VALUES = 2**24

_BY_SUFFIX = {
    ".wav": "WAV",
    ".wave": "WAV",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".aifc": "AIFF",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".mp3": "MP3",
}
_PLAIN_SUBTYPES = {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"}
_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_WAV_BITS = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # of every sub-format that is a plain format tag
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


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
    container = _container(data, name)
    claimed = None
    if container == "WAV":
        claimed = _wav_frames(data, name)
    elif container == "AIFF":
        _check_aiff(data, name)
    elif container == "OGG":
        _check_ogg(data, name)
    elif container == "MP3":
        _check_mp3(data, name)
    try:
        with soundfile.SoundFile(_Source(data)) as file:
            rate, channels, frames = int(file.samplerate), int(file.channels), int(file.frames)
            _check_layout(name, rate=rate, channels=channels, frames=frames, max_seconds=max_seconds)
            if container in ("WAV", "AIFF") and file.subtype not in _PLAIN_SUBTYPES:
                raise DataError("unsupported encoding", where=name, expected="PCM or float samples", got=file.subtype)
            samples = file.read(dtype="float32", always_2d=True)  # [frames, channels]
    except soundfile.SoundFileError as error:
        raise DataError("undecodable audio", where=name, expected=f"a whole {container} file", got=error) from error
    expected = frames if claimed is None else claimed
    if len(samples) != expected or frames != expected:
        raise _truncated(name, f"{expected} frames by the header", f"{len(samples)}")
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


def _container(data: bytes, name: str) -> str:
    """The format by the first bytes, which must be the one that the name promises."""
    start = data[:12]
    found = None
    if start[:4] == b"RIFF" and start[8:] in (b"WAVE", b"WAVE"[: max(len(data) - 8, 0)]):
        found = "WAV"
    elif start[:4] == b"FORM" and start[8:] in (b"AIFF", b"AIFC"):
        found = "AIFF"
    elif start[:4] == b"fLaC":
        found = "FLAC"
    elif start[:4] == b"OggS":
        found = "OGG"
    # An ID3 tag, or a frame's 11 sync bits with layer III (UTF-16 text, FF FE, would be layer I).
    elif start[:3] == b"ID3" or (len(start) > 1 and start[0] == 0xFF and start[1] & 0xE6 == 0xE2):
        found = "MP3"
    if found is None:
        got = f"first bytes {start!r}" if data else "an empty file"
        raise DataError("not audio", where=name, expected="WAV, AIFF, FLAC, Ogg or MP3", got=got)
    promised = _BY_SUFFIX.get(PurePosixPath(name).suffix.lower(), found)
    if promised != found:
        raise DataError("format mismatch", where=name, expected=f"{promised} by its name", got=f"{found} bytes")
    return found


def _wav_frames(data: bytes, name: str) -> int:
    """Number of frames of a RIFF/WAVE file, by a header that was checked whole.

    Layout: Microsoft, "Multiple channel audio data and WAVE files" (2007), and "New multimedia data types" (1994).
    """
    block_align = 0
    position = 12
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        body = position + 8
        if kind == b"fmt ":
            if block_align:
                raise DataError("bad WAV header", where=name, expected="one fmt chunk", got="two")
            block_align = _wav_block_align(data[body : body + size], size, name)
        elif kind == b"data":
            if not block_align:
                raise DataError("bad WAV header", where=name, expected="a fmt chunk before the data", got="none")
            there = len(data) - body
            if size > there:
                raise _truncated(
                    name, f"{size // block_align} frames by the header", f"{there // block_align} in {len(data)} bytes"
                )
            if size % block_align:
                raise DataError(
                    "bad WAV header", where=name, expected=f"whole frames of {block_align} bytes", got=f"{size} bytes"
                )
            return int(size // block_align)
        position = body + size + size % 2
    raise _truncated(name, "a data chunk", f"the end of the file after {len(data)} bytes")


def _wav_block_align(fmt: bytes, size: int, name: str) -> int:
    """Check a fmt chunk of ``size`` bytes by its header; returns bytes a frame."""
    if not 16 <= size <= 200:
        raise DataError("bad WAV header", where=name, expected="a fmt chunk of 16 to 200 bytes", got=size)
    if len(fmt) < size:
        raise _truncated(name, f"a fmt chunk of {size} bytes", f"{len(fmt)}")
    tag, channels, rate, _, block_align, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == _EXTENSIBLE and size >= 40 and fmt[26:40] == _GUID_TAIL:
        tag = struct.unpack_from("<H", fmt, 24)[0]
    if bits not in _WAV_BITS.get(tag, ()):
        raise DataError(
            "unsupported WAV encoding",
            where=name,
            expected="PCM of 8, 16, 24 or 32 bits or float of 32 or 64",
            got=f"format tag {tag:#06x} with {bits} bits",
            hint="Convert it to 16-bit PCM",
        )
    _check_layout(name, rate=rate, channels=channels)
    if block_align != channels * bits // 8:
        raise DataError(
            "bad WAV header", where=name, expected=f"block_align {channels * bits // 8}", got=f"{block_align}"
        )
    return int(block_align)


def _check_aiff(data: bytes, name: str) -> None:
    """Refuse an AIFF file that is shorter than its FORM chunk."""
    claimed = 8 + int(struct.unpack_from(">I", data, 4)[0])
    if len(data) < claimed:
        raise _truncated(name, f"{claimed} bytes by the header", f"{len(data)}")


def _check_mp3(data: bytes, name: str) -> None:
    """Refuse an MP3 file whose first frame does not tell the length.

    libsndfile guesses it from the first frame's bit rate and then stops there: of a variable rate it drops most.
    """
    tag = 0
    if data[:3] == b"ID3" and len(data) >= 10:  # 10 bytes, and a size of 4 x 7 bits (ID3v2.4, section 3.1)
        tag = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    first_frame = data[tag : tag + 192]
    if not any(mark in first_frame for mark in (b"Xing", b"Info", b"VBRI")):
        raise DataError(
            "unsupported audio",
            where=name,
            expected="an MP3 with its length in the first frame (Xing, Info or VBRI)",
            got="none",
            hint="Convert it to FLAC or WAV",
        )


def _check_ogg(data: bytes, name: str) -> None:
    """Walk an Ogg file's pages (RFC 3533): every one whole and intact, the last one marked as the last.

    libsndfile takes a cut file's last page for its end, skips damaged pages and stops after the first of several
    streams, all in silence.
    """
    position, last = 0, False
    while position < len(data):
        segments = data[position + 27 : position + 27 + data[position + 26]] if position + 27 <= len(data) else b""
        end = position + 27 + len(segments) + sum(segments)
        if data[position : position + 4] != b"OggS"[: len(data) - position]:
            raise DataError("damaged audio", where=name, expected=f"an Ogg page at byte {position}", got="other bytes")
        if end > len(data) or len(segments) != data[position + 26]:
            raise _truncated(name, f"an Ogg page up to byte {end}", f"{len(data)} bytes")
        page = data[position : position + 22] + bytes(4) + data[position + 26 : end]
        if struct.unpack_from("<I", data, position + 22)[0] != _ogg_checksum(page):
            raise DataError("damaged audio", where=name, got=f"a wrong checksum of the Ogg page at byte {position}")
        if position and data[position + 5] & 0x02:
            raise DataError(
                "unsupported audio", where=name, expected="one Ogg stream", got=f"another at byte {position}"
            )
        last = bool(data[position + 5] & 0x04)
        position = end
    if not last:
        raise _truncated(name, "a last Ogg page marked as the last", "none")


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 with the polynomial of zlib, most significant bit first, start 0 (RFC 3533): zlib's on reversed bits."""
    reflected = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)


def _check_layout(
    name: str, *, rate: int, channels: int, frames: int | None = None, max_seconds: float = math.inf
) -> None:
    """The gate of every format: rate, channels and, once they are known, frames."""
    if not LOWEST_RATE_HZ <= rate <= HIGHEST_RATE_HZ:
        raise DataError(
            "bad sample rate", where=name, expected=f"{LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz", got=f"{rate} Hz"
        )
    if not 1 <= channels <= MOST_CHANNELS:
        raise DataError(
            "bad number of channels", where=name, expected=f"1 to {MOST_CHANNELS}", got=channels, hint="Mix it down"
        )
    if frames is not None and frames < 1:
        raise DataError("no audio", where=name, expected="at least one frame", got=frames)
    if frames is not None and frames > max_seconds * rate:
        raise DataError(
            "too long", where=name, expected=f"at most {max_seconds:g} s", got=f"{frames / rate:.1f} s by the header"
        )


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


def _truncated(name: str, expected: str, got: str) -> DataError:
    return DataError("truncated", where=name, expected=expected, got=got, hint="Fetch the file again")
