"""What stands inside the page is small, the same each time, and what it was made of."""

from __future__ import annotations

import base64
import io

import matplotlib as mpl
import numpy as np
import pytest
import soundfile
from PIL import Image

from specnorm.report import embedded


def opened(address: str, kind: str) -> io.BytesIO:
    head, _, data = address.partition(",")
    assert head == f"data:{kind};base64"
    return io.BytesIO(base64.b64decode(data, validate=True))


def noise(seconds: float, rate: int, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(0).standard_normal(round(seconds * rate))).astype(np.float32)


def pixels(address: str) -> np.ndarray:
    image = Image.open(opened(address, "image/png"))
    assert (image.format, image.mode) == ("PNG", "P")
    return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(1000, 8000), (8000, 8000), (10000, 11025), (16000, 16000), (44100, 44100), (48000, 48000), (96000, 48000)],
)
def test_a_sound_is_an_mp3_file_of_its_length_at_a_rate_that_mp3_knows(rate: int, expected: int) -> None:
    found, at = soundfile.read(opened(embedded.sound(noise(1.5, rate), rate), "audio/mpeg"))
    assert at == expected
    assert len(found) / at == pytest.approx(1.5, abs=1e-3)


def test_a_sound_is_what_was_given_and_when() -> None:
    """A click in silence: an encoder's delay that the file does not tell would move it by a frame or two."""
    silence = np.zeros(16000, np.float32)
    silence[8000:8400] = 0.5 * np.sin(np.arange(400) * 0.3)
    found, _ = soundfile.read(opened(embedded.sound(silence, 16000), "audio/mpeg"))
    assert np.flatnonzero(np.abs(found) > 0.25)[0] == pytest.approx(8000, abs=40)  # 2.5 ms
    assert np.abs(found).max() == pytest.approx(0.5, abs=0.1)
    assert np.abs(found[:7000]).max() < 1e-3


def test_what_goes_beyond_full_scale_is_not_clipped() -> None:
    tone = (3 * np.sin(np.arange(16000) * 0.2)).astype(np.float32)
    found, _ = soundfile.read(opened(embedded.sound(tone, 16000), "audio/mpeg"))
    middle = found[4000:12000]
    assert np.abs(middle).max() <= 1.05
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5**0.5, rel=0.05)  # a sine, not a square


@pytest.mark.parametrize("waveform", [np.zeros(8000, np.float32), np.full(1, 0.5, np.float32)])
def test_silence_and_a_single_sample_are_sounds(waveform: np.ndarray) -> None:
    found, _ = soundfile.read(opened(embedded.sound(waveform, 8000), "audio/mpeg"))
    assert np.isfinite(found).all()


def test_five_seconds_are_small_even_of_noise() -> None:
    assert len(embedded.sound(noise(5, 16000), 16000)) < 60_000
    assert len(embedded.sound(noise(5, 44100), 44100)) < 120_000


def test_a_picture_has_low_frequencies_at_the_bottom_and_the_colours_of_all_spectrograms() -> None:
    level = np.array([[0.0, 0.5], [1.0, 2.0], [-3.0, 0.0]], np.float32)  # [bins, frames]
    found = pixels(embedded.picture(level, (0.0, 1.0)))
    magma = mpl.colormaps["magma"](np.linspace(0, 1, 32), bytes=True)[:, :3]
    assert found.shape == (3, 2, 3)
    assert (found[2, 0] == magma[0]).all()
    assert (found[2, 1] == magma[16]).all()
    assert (found[1] == magma[31]).all()  # beyond the limits, too
    assert (found[0] == magma[0]).all()


def test_a_picture_of_more_values_than_pixels_shows_their_means() -> None:
    level = np.zeros((192, 384), np.float32)
    level[:, 1::2] = 1.0
    found = pixels(embedded.picture(level, (0.0, 1.0)))
    assert found.shape == (96, 192, 3)
    assert len(np.unique(found.reshape(-1, 3), axis=0)) == 1


def test_a_picture_is_small_even_of_noise() -> None:
    level = np.random.default_rng(0).standard_normal((201, 401)).astype(np.float32)
    assert len(embedded.picture(level, (-2.5, 2.5))) < 20_000


def test_the_bytes_are_the_same_each_time() -> None:
    waveform, level = noise(1, 16000), noise(1, 4000).reshape(40, 100)
    assert embedded.sound(waveform, 16000) == embedded.sound(waveform.copy(), 16000)
    assert embedded.picture(level, (-0.2, 0.2)) == embedded.picture(level.copy(), (-0.2, 0.2))
