"""Sound and pictures as addresses that hold all of what they name, for a page that needs no other file."""

from __future__ import annotations

import base64
import io

import matplotlib as mpl
import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from specnorm.audio.resample import resample
from specnorm.report.style import LEVELS

# What MPEG-1, MPEG-2 and MPEG-2.5 know (ISO/IEC 11172-3 and 13818-3, and their customary extension downwards).
_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_COLOURS = 32  # of a picture, which are all that an eye tells apart in so small a one
_MOST_ROWS, _MOST_COLUMNS = 96, 192  # pixels of a picture, which is shown half as large: screens have fine pixels


def sound(waveform: NDArray[np.float32], sample_rate: int) -> str:
    """A waveform as an MP3 file: the one small format that every browser plays, and the same bytes each time.

    Safari claims to play Ogg files and does not play all of them, and libsndfile gives each Ogg file a random number.
    What goes beyond full scale is made quieter as a whole, not clipped.

    Args:
        waveform: float32 ``[samples]``, mono, full scale 1.
        sample_rate: Hz; where MP3 does not know it, the sound is resampled to the next higher one that it knows.
    """
    rate = next((each for each in _RATES_HZ if each >= sample_rate), _RATES_HZ[-1])
    samples = resample(waveform, sample_rate, rate, "polyphase")
    buffer = io.BytesIO()
    soundfile.write(buffer, samples / max(1.0, float(np.abs(samples).max())), rate, format="MP3")
    return _address("audio/mpeg", buffer.getvalue())


def picture(level: NDArray[np.float32], limits: tuple[float, float]) -> str:
    """A spectrogram as a small PNG file in the colours of all our spectrograms, the lowest frequency at the bottom.

    Where it has more values than the picture has pixels, a pixel is the mean of the values that it covers.

    Args:
        level: ``[bins, frames]``.
        limits: the levels of the darkest and of the brightest colour.
    """
    rows, columns = min(level.shape[0], _MOST_ROWS), min(level.shape[1], _MOST_COLUMNS)
    means = Image.fromarray(level[::-1].astype(np.float32)).resize((columns, rows), Image.Resampling.BOX)
    darkest, brightest = limits
    share = np.clip((np.asarray(means, dtype=np.float64) - darkest) / (brightest - darkest), 0, 1)
    image = Image.frombytes("P", (columns, rows), (share * (_COLOURS - 1)).round().astype(np.uint8).tobytes())
    palette = mpl.colormaps[LEVELS](np.linspace(0, 1, _COLOURS), bytes=True)[:, :3]  # [colours, red green blue]
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return _address("image/png", buffer.getvalue())


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
