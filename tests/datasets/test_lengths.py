from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from specnorm.datasets.archive import Archive
from specnorm.datasets.lengths import fitting, measure, sentences
from specnorm.errors import DataError
from tests.datasets.layouts import wav_bytes, write_zip

RATE = 8000


def encoded(seconds: float, form: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(round(seconds * RATE)), RATE, format=form)
    return buffer.getvalue()


def of(tmp_path: Path, members: dict[str, bytes]) -> dict[str, Any]:
    with Archive(write_zip(tmp_path / "clips.zip", members)) as archive:
        return measure(archive, members)


def test_every_container_tells_its_length(tmp_path: Path) -> None:
    members = {
        "a.wav": encoded(1, "WAV"),
        "b.flac": encoded(2, "FLAC"),
        "c.ogg": encoded(3, "OGG"),
        "d.aiff": encoded(4, "AIFF"),
        "e.mp3": encoded(5, "MP3"),
    }
    found = of(tmp_path, members)
    assert (found["known"], found["unknown"]) == (5, 0)
    assert [found["seconds"][name] for name in ("min", "25 %", "median", "75 %", "max")] == [1, 2, 3, 4, 5]


def test_of_a_wav_file_the_head_is_read_and_the_rest_only_where_the_samples_begin_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = wav_bytes(3 * RATE, rate=RATE)
    late = plain[:36] + b"LIST" + (10_000).to_bytes(4, "little") + bytes(10_000) + plain[36:]
    read: list[str] = []
    whole = Archive.read
    monkeypatch.setattr(Archive, "read", lambda self, name, **_: read.append(name) or whole(self, name))  # type: ignore[func-returns-value]
    found = of(tmp_path, {"plain.wav": plain, "late.wav": late})
    assert found["seconds"]["min"] == found["seconds"]["max"] == 3
    assert read == ["late.wav"]


def test_a_clip_without_a_readable_header_is_counted_and_left_to_the_decoder(tmp_path: Path) -> None:
    wav = wav_bytes(RATE, rate=RATE)
    flac = bytearray(encoded(1, "FLAC"))
    flac[21:26] = bytes([flac[21] & 0xF0, 0, 0, 0, 0])  # a stream of unknown length
    members = {
        "good.wav": wav,
        "cut.wav": wav[:-1],
        "none.wav": wav_bytes(0),
        "text.wav": b"text",
        "empty.ogg": b"",
        "cut.flac": encoded(1, "FLAC")[:30],
        "stream.flac": bytes(flac),
        "hours.wav": wav_bytes(601 * 1000, rate=1000),
    }
    found = of(tmp_path, members)
    assert (found["known"], found["unknown"]) == (1, 7)
    assert found["seconds"]["max"] == 1
    del members["good.wav"]
    assert of(tmp_path, members) == {"known": 0, "unknown": 7, "seconds": None, "clip_seconds": None}


@pytest.mark.parametrize("form", ["AU", "CAF", "W64", "RF64"])
def test_a_format_that_is_not_read_is_refused_before_anything_is_decoded(tmp_path: Path, form: str) -> None:
    """libsndfile reads these, and would give what is left of a cut one without a word."""
    members = {"a.wav": encoded(1, "WAV"), "b": encoded(1, form)}
    with pytest.raises(DataError, match=rf"^unsupported audio in b: expected WAV, .*got {form}. Convert it to FLAC or"):
        of(tmp_path, members)
    with pytest.raises(DataError, match=rf"^unsupported audio in b.{form}: expected WAV, .*got {form}"):
        of(tmp_path, {f"b.{form}": b""})


def test_a_quantile_is_the_length_of_a_clip(tmp_path: Path) -> None:
    found = of(tmp_path, {f"{n:03}.wav": wav_bytes(10 * n, rate=1000) for n in range(1, 101)})
    assert found["seconds"] == {
        "min": 0.01,
        "5 %": 0.05,
        "25 %": 0.25,
        "median": 0.5,
        "75 %": 0.75,
        "95 %": 0.95,
        "max": 1.0,
    }
    assert found["clip_seconds"] == 0.95


@pytest.mark.parametrize(
    ("needed", "length"),
    [
        (5.0, 5.0),
        (5.000998, 5.0),
        (4.999977, 5.0),
        (5.01, 5.1),
        (0.638, 0.64),
        (0.0312, 0.032),
        (0.1, 0.1),
        (0.29, 0.29),
        (1.0, 1.0),
        (9.96, 10.0),
        (10.0, 10.0),
        (12.01, 12.0),
        (12.1, 13.0),
        (99.5, 100.0),
        (123.4, 130.0),
        (600.0, 600.0),
    ],
)
def test_a_fitting_length_is_the_next_number_of_two_digits(needed: float, length: float) -> None:
    assert fitting({"95 %": needed}) == length


def test_a_fitting_length_holds_what_it_promises_and_little_more() -> None:
    for needed in np.geomspace(0.01, 600, 1000).round(6):
        assert needed * (1 - 1e-3) <= fitting({"95 %": float(needed)}) <= needed * 1.1


def test_lengths_are_told_in_lines(tmp_path: Path) -> None:
    members = {f"{n}.wav": wav_bytes(100 * n, rate=1000) for n in range(1, 11)} | {"bad.wav": b""}
    assert sentences(of(tmp_path, members)) == [
        "lengths in s: min 0.1, 5 % 0.1, 25 % 0.3, median 0.5, 75 % 0.8, 95 % 1, max 1",
        "a fitting spectrogram.clip_seconds: 1, which leaves 95 % of them whole",
        "clips whose header does not tell their length: 1",
    ]
    assert sentences(of(tmp_path, {"a.wav": wav_bytes(5000, rate=1000)}))[0] == "every clip is 5 s long"
