"""What a source on this machine is told by: its files' names and contents, read again only where they may differ."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specnorm import files
from specnorm.datasets import local
from specnorm.errors import DataError, ResourceError
from specnorm.params.dataset import SyntheticParams
from tests.datasets.layouts import folder_params

LONG_AGO_S = 1_000_000_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of three files, of which nobody has written for long."""
    folder = tmp_path / "source"
    for name, text in {"a.wav": "one", "b/c.wav": "two", "table.csv": "three"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock past the two seconds in which a file may change unseen; a file's own times cannot all be set."""
    now = local.time.time_ns
    monkeypatch.setattr(local.time, "time_ns", lambda: now() + 10**10)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read."""
    found: list[str] = []

    def counted(path: Path) -> str:
        found.append(path.name)
        return files.sha256_file(path)

    monkeypatch.setattr(local, "sha256_file", counted)
    return found


def look(place: Path | None, cache: Path) -> dict[str, Any]:
    return local.identity_of(place, cache=cache, progress=False)


def edit_same_length(source: Path) -> None:
    (source / "a.wav").write_text("eno")


def edit_and_turn_back_the_clock(source: Path) -> None:
    """As `rsync --times` or an unpacked archive does."""
    before = (source / "a.wav").stat()
    (source / "a.wav").write_text("eno")
    os.utime(source / "a.wav", ns=(before.st_atime_ns, before.st_mtime_ns))


def swap_names(source: Path) -> None:
    (source / "a.wav").rename(source / "x")
    (source / "b/c.wav").rename(source / "a.wav")
    (source / "x").rename(source / "b/c.wav")


def add(source: Path) -> None:
    (source / "d.wav").write_text("")


def remove(source: Path) -> None:
    (source / "b/c.wav").unlink()


@pytest.mark.parametrize("change", [edit_same_length, edit_and_turn_back_the_clock, swap_names, add, remove])
@pytest.mark.usefixtures("later")
def test_whatever_is_changed_the_identity_is_another(
    change: Callable[[Path], None], source: Path, tmp_path: Path
) -> None:
    before = look(source, tmp_path / "cache")
    change(source)
    after = look(source, tmp_path / "cache")
    assert after["digest"] != before["digest"]
    assert after == look(source, tmp_path / "no cache")


@pytest.mark.usefixtures("later")
def test_a_second_look_reads_nothing_and_a_third_what_was_touched(
    source: Path, tmp_path: Path, reads: list[str]
) -> None:
    first = look(source, tmp_path / "cache")
    assert first == {"format": 1, "files": 3, "bytes": 11, "digest": first["digest"]}
    assert sorted(reads) == ["a.wav", "c.wav", "table.csv"]
    reads.clear()
    kept = [path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()]
    assert look(source, tmp_path / "cache") == first
    assert reads == []
    assert [path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()] == kept
    os.utime(source / "a.wav", (LONG_AGO_S, LONG_AGO_S))
    assert look(source, tmp_path / "cache") == first
    assert reads == ["a.wav"]


def test_what_was_written_a_moment_ago_is_read_again(source: Path, tmp_path: Path, reads: list[str]) -> None:
    """Two writes within one tick of the file system's clock may leave the same times."""
    for _ in range(2):
        reads.clear()
        look(source, tmp_path / "cache")
        assert len(reads) == 3


@pytest.mark.usefixtures("later")
def test_a_copy_elsewhere_is_the_same_source(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "copy")
    assert look(tmp_path / "copy", tmp_path / "cache") == look(source, tmp_path / "cache")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "files": {"a.wav": 3}}'])
@pytest.mark.usefixtures("later")
def test_digests_that_cannot_be_understood_are_made_again(text: str, source: Path, tmp_path: Path) -> None:
    first = look(source, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text(text)
    assert look(source, tmp_path / "cache") == first


@pytest.mark.usefixtures("later")
def test_a_zip_is_told_by_its_bytes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.wav", "one")
    first = look(tmp_path / "set.zip", tmp_path / "cache")
    assert (first["files"], first["bytes"]) == (1, (tmp_path / "set.zip").stat().st_size)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.wav", "eno")
    assert look(tmp_path / "set.zip", tmp_path / "cache") != first


@pytest.mark.usefixtures("later")
def test_pipes_and_broken_links_are_named_and_never_opened(source: Path, tmp_path: Path) -> None:
    before = look(source, tmp_path / "cache")
    os.mkfifo(source / "pipe")
    (source / "link").symlink_to("nowhere")
    after = look(source, tmp_path / "cache")
    assert (after["files"], after["bytes"]) == (5, before["bytes"])
    assert after["digest"] != before["digest"]
    (source / "link").unlink()
    (source / "link").symlink_to("a.wav")
    assert look(source, tmp_path / "cache")["bytes"] == before["bytes"] + 3


@pytest.mark.usefixtures("later")
def test_a_name_need_not_be_text(source: Path, tmp_path: Path) -> None:
    """On Unix it is bytes; two names that differ only in such a byte are two."""
    found = []
    for byte in (b"\xe9", b"\xe8", b"\xc3\xa9"):
        path = Path(os.fsdecode(os.fsencode(source) + b"/" + byte + b".wav"))
        path.write_text("one")
        found.append(look(source, tmp_path / "cache")["digest"])
        assert look(source, tmp_path / "cache")["digest"] == found[-1]
        path.unlink()
    assert len(set(found)) == 3


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"missing source in .*/nowhere: expected a zip or a folder, got No such file or directory. Set"
    ):
        look(tmp_path / "nowhere", tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_told(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = local.time.time_ns
    monkeypatch.setattr(local.time, "time_ns", lambda: now() + 10**10)
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ResourceError, match="cannot write a file"):
        look(source, tmp_path / "cache")


def test_where_a_source_lies(tmp_path: Path) -> None:
    assert local.place_of(folder_params(source="pets"), tmp_path) == tmp_path / "pets"
    assert local.place_of(folder_params(source="/elsewhere/pets"), tmp_path) == Path("/elsewhere/pets")
    assert local.place_of(folder_params(source="~/pets"), tmp_path) == Path.home() / "pets"
    with pytest.raises(DataError, match=r"missing source in ~nobody_of_that_name/pets"):
        local.place_of(folder_params(source="~nobody_of_that_name/pets"), tmp_path)
    generated = SyntheticParams(
        kind="synthetic", name=None, sources=1, clips=1, folds=2, sample_rate=8000, clip_seconds=0.25, seed=0
    )
    assert local.place_of(generated, tmp_path) is None
    assert look(None, tmp_path / "cache") == look(None, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
