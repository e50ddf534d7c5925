from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from specnorm.datasets.archive import Archive
from specnorm.datasets.folder import Folder, pack_folder
from tests.datasets.layouts import write_folder, write_zip

MEMBERS = {f"audio/{n:03}.wav": bytes([n]) * (1000 + 50 * n) for n in range(100)}


def test_members_are_read_from_a_zip_and_from_a_folder_alike(tmp_path: Path) -> None:
    folder = Folder(write_folder(tmp_path / "folder", MEMBERS))
    with Archive(write_zip(tmp_path / "clips.zip", MEMBERS)) as archive:
        for source in (folder, archive):
            assert source.names() == sorted(MEMBERS)
            source.check(MEMBERS)
            assert {name: source.read(name) for name in MEMBERS} == MEMBERS
            assert source.head("audio/007.wav", 3) == b"\x07\x07\x07"
            assert source.size("audio/007.wav") == 1350


def test_threads_read_at_once(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "clips.zip", MEMBERS)
    with Archive(path) as archive, ThreadPoolExecutor(8) as pool:
        names = list(MEMBERS) * 10
        assert list(pool.map(archive.read, names)) == [MEMBERS[name] for name in names]


def test_a_closed_archive_holds_no_file(tmp_path: Path) -> None:
    archive = Archive(write_zip(tmp_path / "clips.zip", MEMBERS))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(archive.read, MEMBERS))
    archive.close()
    assert all(opened.fp is None for opened in archive._opened)


@pytest.mark.case("M12")
@pytest.mark.parametrize("marked", [True, False], ids=["marked", "unmarked"])
def test_names_may_hold_any_letter_and_spaces(tmp_path: Path, marked: bool) -> None:
    name = "Vögel am Fluß/鳥 1.wav"
    path = write_zip(tmp_path / "clips.zip", {name: b"tweet"})
    if not marked:  # as Info-ZIP writes it: UTF-8, without the flag that says so
        data = bytearray(path.read_bytes())
        data[7] &= ~0x08
        data[data.rindex(b"PK\x01\x02") + 9] &= ~0x08
        path.write_bytes(data)
    with Archive(path) as archive:
        assert archive.names() == [name]
        assert archive.read(name) == b"tweet"


def test_the_same_files_are_packed_to_the_same_bytes(tmp_path: Path) -> None:
    first = write_folder(tmp_path / "first", MEMBERS)
    second = write_folder(tmp_path / "second", dict(reversed(MEMBERS.items())))
    (second / "audio/000.wav").chmod(0o600)
    (second / "unlisted.txt").write_text("left out")
    pack_folder(first, MEMBERS, tmp_path / "first.zip")
    pack_folder(second, [*reversed(MEMBERS), "audio/000.wav"], tmp_path / "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.zip") as packed:
        assert {info.filename: packed.read(info) for info in packed.infolist()} == MEMBERS
        assert {info.date_time[0] for info in packed.infolist()} == {1980}
