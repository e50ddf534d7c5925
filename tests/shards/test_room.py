"""What extraction takes of memory and disk is known before it begins, and refused where it is not there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from specnorm.errors import ResourceError
from specnorm.params import LinearParams
from specnorm.shards import room
from specnorm.shards.extraction import extract
from specnorm.shards.room import AHEAD, Pace, check_disk, memory_bytes, pace
from tests.builders import MemoryDataset, front_end_params, noise, tree

PARAMS = front_end_params()
LARGE = front_end_params(sample_rate=16000, clip_seconds=600.0, n_fft=400, win_length=400, hop_length=1)


def free(monkeypatch: pytest.MonkeyPatch, *, memory: float = 1e15, disk: float = 1e15) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda: int(memory))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(disk)))


def test_a_clip_that_no_machine_has_memory_for_is_refused_before_anything_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes at hop 1: a kill, or torch's traceback, and the old shards gone."""
    free(monkeypatch, memory=32e9)
    dataset = MemoryDataset({("a.wav", 1): noise()})
    extract(dataset, PARAMS, tmp_path)  # type: ignore[arg-type]
    before = tree(tmp_path)
    dataset.read = None  # type: ignore[assignment]
    with pytest.raises(
        ResourceError,
        match=r"^not enough memory for the spectrogram of one clip in 201 bins and 9600001 frames: expected 77.7 GB "
        r"free, got 32 GB\. Raise spectrogram\.hop_length, or lower clip_seconds, sample_rate or n_fft$",
    ):
        extract(dataset, LARGE, tmp_path)  # type: ignore[arg-type]
    assert tree(tmp_path) == before


def test_memory_that_suffices_for_fewer_workers_gives_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    for wanted in (Pace(8, 8 * AHEAD), Pace(3, 3 * AHEAD), Pace(1, AHEAD), Pace(1, 1)):
        free(monkeypatch, memory=memory_bytes(LARGE, wanted))
        assert pace(LARGE, 8) == wanted
        free(monkeypatch, memory=memory_bytes(LARGE, wanted) - 1)
        if wanted != Pace(1, 1):
            assert pace(LARGE, 8) != wanted
    with pytest.raises(ResourceError):
        pace(LARGE, 8)


def test_the_shards_do_not_depend_on_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = MemoryDataset({(f"{n}.wav", 1 + n % 2): noise(seed=n) for n in range(8)})
    extract(dataset, PARAMS, tmp_path / "much", workers=4)  # type: ignore[arg-type]
    free(monkeypatch, memory=memory_bytes(PARAMS, Pace(1, 1)))
    extract(dataset, PARAMS, tmp_path / "little", workers=4)  # type: ignore[arg-type]
    assert tree(tmp_path / "little") == tree(tmp_path / "much")


CHILD = """
import sys
from pathlib import Path
from specnorm.shards.extraction import extract
from specnorm.shards.room import Pace, memory_bytes
from tests.builders import MemoryDataset, front_end_params, noise
folder = sys.argv[1]
def peak():  # of this program, where ru_maxrss begins with that of whoever started it
    facts = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(facts["VmHWM"].split()[0]) * 1024
clips = MemoryDataset({(f"{n}.wav", 1): noise(80000) for n in range(12)}, rate=16000)
few = front_end_params(sample_rate=16000, clip_seconds=1.0, n_fft=512, win_length=512, hop_length=500)
extract(clips, few, Path(folder), workers=2)
large = front_end_params(sample_rate=16000, clip_seconds=5.0, n_fft=1024, win_length=1024, hop_length=40)
before = peak()
extract(clips, large, Path(folder), workers=2)
print(peak() - before, memory_bytes(large, Pace(2, 8)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a process's own peak is told by Linux")
def test_the_estimate_is_what_is_taken(tmp_path: Path) -> None:
    """In a process of its own, whose peak before is of the same work in small."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], cwd=root, capture_output=True, text=True, check=True
    )
    taken, estimated = map(int, done.stdout.split())
    # How many clips are done and wait is a matter of chance, and at the most all that may.
    assert 0.4 * estimated < taken < 1.1 * estimated


def test_a_full_disk_is_told_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = MemoryDataset({(f"{n}.wav", 1 + n % 2): noise(seed=n) for n in range(8)})
    size = 2 * 8 * 9 * 6 * 4  # variants, clips, bins, frames, bytes
    free(monkeypatch, disk=size - 1)
    with pytest.raises(
        ResourceError,
        match=r"^not enough disk space for the spectrograms of 8 clips in .*shards: expected 0\.00346 MB free, got "
        r"0\.00346 MB\. Free space, or raise spectrogram\.hop_length or lower clip_seconds or n_fft$",
    ):
        extract(dataset, PARAMS, tmp_path / "shards")  # type: ignore[arg-type]
    assert tree(tmp_path) == {}
    free(monkeypatch, disk=size)
    extract(dataset, PARAMS, tmp_path / "shards")  # type: ignore[arg-type]


def test_shards_that_are_replaced_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fold's old shard goes when its new one is whole, so that one fold's space is needed beside the old ones."""
    dataset = MemoryDataset({(f"{n}.wav", 1 + n % 4): noise(seed=n) for n in range(8)})
    extract(dataset, PARAMS, tmp_path)  # type: ignore[arg-type]
    fold = 2 * 2 * 9 * 6 * 4
    free(monkeypatch, disk=fold + 300)  # and what the headers of the old ones hold is no room
    extract(dataset, PARAMS, tmp_path)  # type: ignore[arg-type]
    free(monkeypatch, disk=fold - 1)
    with pytest.raises(ResourceError, match="not enough disk space"):
        check_disk(PARAMS, {1: 2, 2: 2, 3: 2, 4: 2}, tmp_path)


def test_memory_that_ends_on_the_way_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may take what was free; torch reports it as it does a fault in the code, which stays what it is."""
    dataset = MemoryDataset({("a.wav", 1): noise()})
    for fault in (lambda _: torch.empty(2**50), lambda _: exec("raise MemoryError")):
        monkeypatch.setattr("specnorm.audio.front_end.FrontEnd.forward", lambda self, wave, fault=fault: fault(wave))
        with pytest.raises(ResourceError, match=r"^out of memory in the spectrogram of a clip.*Free some, raise spect"):
            extract(dataset, PARAMS, tmp_path)  # type: ignore[arg-type]
    monkeypatch.setattr("specnorm.audio.front_end.FrontEnd.forward", lambda self, wave: torch.zeros(2) + torch.zeros(3))
    with pytest.raises(RuntimeError, match="must match the size"):
        extract(dataset, PARAMS, tmp_path)  # type: ignore[arg-type]


def test_the_defaults_are_far_from_any_limit() -> None:
    published = LinearParams.model_validate(
        PARAMS.model_dump() | {"sample_rate": 16000, "clip_seconds": 5.0, "n_fft": 400, "win_length": 400}
    )
    assert memory_bytes(published, Pace(1, 1)) < 100e6
