from __future__ import annotations

import itertools
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from specnorm.audio.clip import load_clip
from specnorm.audio.front_end import FrontEnd
from specnorm.audio.waveform import standardize
from specnorm.errors import DataError
from specnorm.shards.extraction import extract
from specnorm.shards.store import open_shards
from tests.builders import MemoryDataset, noise
from tests.faults.bad_wav import wav

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
FRONT = FrontEnd.linear(sample_rate=1000, clip_seconds=0.2, n_fft=16, hop_length=40)


def write(path: Path, samples: int = 300, rate: int = 1000) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    waveform = noise(samples)
    path.write_bytes(wav(waveform.astype("<f4").tobytes(), tag=3, bits=32, rate=rate))
    return waveform


class FileDataset:
    """What extraction needs of a data set: files of a folder, by turns in two folds."""

    def __init__(self, files: list[Path]) -> None:
        self.info = {"digest": "of the files"}
        self.clips = pd.DataFrame(
            {
                "clip": [path.name for path in files],
                "member": [str(path) for path in files],
                "fold": [1 + number % 2 for number in range(len(files))],
                "target": 0,
                "label": "rain",
                "source": [path.stem for path in files],
            }
        )

    def read(self, member: str) -> bytes:
        return Path(member).read_bytes()


def assert_as_in_the_shards(files: list[Path], front: FrontEnd, folder: Path) -> None:
    extract(FileDataset(files), front.params, folder, workers=1)  # type: ignore[arg-type]
    shards = open_shards(folder)
    for fold in shards.folds:
        for row, name in enumerate(shards.of_fold(fold)["clip"]):
            path = next(path for path in files if path.name == name)
            for waveform in ("raw", "standardized"):
                spectrogram = front(load_clip(path, front, standardized=waveform == "standardized"))
                assert spectrogram.numpy().tobytes() == shards.parts(waveform, fold)[0][row].tobytes(), (name, waveform)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("rate", [1000, 1600])
def test_a_clip_is_what_the_pipeline_makes_of_it(tmp_path: Path, rate: int) -> None:
    files = [tmp_path / f"{samples}.wav" for samples in (50, 200, 320, 900)]
    for path in files:
        write(path, int(path.stem), rate)
    assert_as_in_the_shards(files, FRONT, tmp_path / "shards")


@pytest.mark.usefixtures("one_thread")
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real clips are not beside this checkout")
@pytest.mark.parametrize(
    "front", [FrontEnd.linear(), FrontEnd.mel(resampler="sinc", top_db=80.0)], ids=["linear", "mel"]
)
def test_real_clips_are_what_the_pipeline_makes_of_them(tmp_path: Path, front: FrontEnd) -> None:
    files = []
    with zipfile.ZipFile(SHARED / "esc10-ogg.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".ogg")]
        for name in itertools.islice(names, 0, None, 67):
            files.append(tmp_path / Path(name).name)
            files[-1].write_bytes(archive.read(name))
    assert len(files) == 6
    assert_as_in_the_shards(files, front, tmp_path / "shards")


def test_the_length_and_the_type_are_the_front_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    written = write(path, 300)
    for given in (path, str(path)):
        found = load_clip(given, FRONT)
        assert found.shape == (200,)
        assert found.dtype == torch.float32
        assert found.tolist() == written[:200].tolist()
    assert torch.equal(load_clip(path, FRONT, standardized=True), standardize(found))
    write(path, 50)
    assert load_clip(path, FRONT)[50:].count_nonzero() == 0


@pytest.mark.case("W16")
@pytest.mark.parametrize("name", ["none.wav", "none/none.wav"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"missing file in .*{name}$") as caught:
        load_clip(tmp_path / name, FRONT)
    assert caught.value.where == tmp_path / name


@pytest.mark.case("W2")
def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"unreadable file in .*: got Is a directory"):
        load_clip(tmp_path, FRONT)


@pytest.mark.case("W16")
def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for somebody who is not root, whom no permission holds."""

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"unreadable file in .*a\.wav: got Permission denied"):
        load_clip(tmp_path / "a.wav", FRONT)


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("a.wav", b"", r"not audio in .*a\.wav"),
        ("a.flac", wav(), r"format mismatch in .*a\.flac"),
        ("a.wav", wav()[:-10], r"truncated in .*a\.wav"),
    ],
)
def test_what_is_no_audio_names_the_file(tmp_path: Path, name: str, data: bytes, match: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=match):
        load_clip(tmp_path / name, FRONT)


def test_extraction_reads_clips_by_the_same_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DataError("the one piece of code")

    monkeypatch.setattr("specnorm.audio.clip.decode", refuse)
    write(tmp_path / "a.wav")
    with pytest.raises(DataError, match="the one piece of code"):
        load_clip(tmp_path / "a.wav", FRONT)
    with pytest.raises(DataError, match="the one piece of code"):
        extract(MemoryDataset({("a.wav", 1): noise()}), FRONT.params, tmp_path / "shards")  # type: ignore[arg-type]
