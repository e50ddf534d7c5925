"""Hostile and broken archives: refused by the name of the archive and the member, and nothing is ever unpacked."""

from __future__ import annotations

import os
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from specnorm.datasets.archive import Archive
from specnorm.datasets.folder import Folder, pack_folder
from specnorm.datasets.source import LIMIT_BYTES
from specnorm.errors import DataError, IntegrityError, ResourceError, SpecnormError
from tests.datasets.layouts import write_folder, write_zip

NOISE = bytes((7 * n * n) % 251 for n in range(20_000))
TRICKS = ["../x", "/abs", "a\\..\\b", "C:\\x", "C:x", "a/../../x", "a//b", "./a", "a/.", "x\0.wav", "x\n.wav", ""]


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    return write_zip(tmp_path / "clips.zip", {"a.wav": NOISE, "folder/b.wav": b"second"})


def refused(path: Path, name: str, message: str, error: type[SpecnormError] = IntegrityError) -> None:
    """Both ways to a member refuse it, and the message names the archive."""
    with Archive(path) as archive:
        for use in (lambda: archive.check([name]), lambda: archive.read(name)):
            with pytest.raises(error, match=message) as caught:
                use()
            assert str(path) in str(caught.value)


@pytest.mark.case("Z1")
@pytest.mark.parametrize("keep", [0, 2, 0.5, -10, -1])
def test_a_cut_archive_is_refused(packed: Path, keep: float) -> None:
    data = packed.read_bytes()
    packed.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(IntegrityError, match=r"broken archive in .*clips.zip"):
        Archive(packed)


@pytest.mark.parametrize("data", [b"<html></html>", b"RIFF" + bytes(100)])
def test_something_else_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "page.zip"
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="expected a whole zip"):
        Archive(path)


def test_a_missing_archive_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"missing file in .*none.zip"):
        Archive(tmp_path / "none.zip")
    with pytest.raises(IntegrityError, match="broken archive"):
        Archive(tmp_path)


@pytest.mark.case("Z2")
def test_a_flipped_byte_names_the_member(packed: Path) -> None:
    data = bytearray(packed.read_bytes())
    data[200] ^= 1
    packed.write_bytes(data)
    with Archive(packed) as archive:
        with pytest.raises(IntegrityError, match=r"broken member in .*clips.zip, member 'a.wav'"):
            archive.read("a.wav")
        assert archive.read("folder/b.wav") == b"second"


def test_every_flipped_byte_is_refused_or_harmless(packed: Path) -> None:
    whole = packed.read_bytes()
    outcomes = set()
    for position in range(0, len(whole), max(1, len(whole) // 300)):
        data = bytearray(whole)
        data[position] ^= 0x10
        packed.write_bytes(data)
        try:
            with Archive(packed) as archive:
                assert archive.read("a.wav") == NOISE
            outcomes.add("harmless")
        except (IntegrityError, DataError):
            outcomes.add("refused")
    assert "refused" in outcomes


@pytest.mark.case("Z8")
def test_a_missing_member_is_refused(packed: Path) -> None:
    refused(packed, "c.wav", "1 missing file in .*clips.zip: got no c.wav", DataError)
    refused(packed, "folder", "1 missing file", DataError)
    with Archive(packed) as archive, pytest.raises(DataError, match=r"7 missing files.*no 0, 1, 2, 3, 4, \.\.\.$"):
        archive.check(["a.wav", *"0123456"])


@pytest.mark.case("Z3")
@pytest.mark.parametrize("name", TRICKS)
def test_a_name_that_could_leave_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    stored = name.replace("\0", "?") or "?"
    path = write_zip(tmp_path / "clips.zip", {stored: b"bad", "good.wav": b"good"})
    path.write_bytes(path.read_bytes().replace(stored.encode(), name.encode()) if "\0" in name else path.read_bytes())
    with Archive(path) as archive:
        with pytest.raises(IntegrityError, match="unsafe file name"):
            archive.read(name)
        assert archive.read("good.wav") == b"good"  # what is not asked for does no harm
        if name:
            with pytest.raises(IntegrityError, match="unsafe file name"):
                archive.check([name])
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_name_is_not_cut_at_a_nul(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "clips.zip", {"a.wav?.exe": b"bad"})
    path.write_bytes(path.read_bytes().replace(b"a.wav?", b"a.wav\0"))
    refused(path, "a.wav", "1 missing file", DataError)


def test_a_name_of_nothing_but_a_nul_is_no_folder_and_no_end(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "clips.zip", {"a.wav": b"good", "?": b"bad"})
    path.write_bytes(path.read_bytes().replace(b"?", b"\0"))
    with Archive(path) as archive:
        assert archive.read("a.wav") == b"good"
        assert archive.folders() == []
    refused(path, "\0", "unsafe file name")


@pytest.mark.case("Z4")
def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clips.zip"
    with zipfile.ZipFile(path, "w") as packed:
        link = zipfile.ZipInfo("a.wav")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        packed.writestr(link, "/etc/passwd")
        packed.writestr("a.wav/below.wav", b"below a link")
    refused(path, "a.wav", "symbolic link")
    with Archive(path) as archive:
        assert archive.read("a.wav/below.wav") == b"below a link"
    assert list(tmp_path.iterdir()) == [path]  # read and never unpacked


@pytest.mark.case("Z7")
def test_a_member_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clips.zip"
    with zipfile.ZipFile(path, "w") as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of what this test is about
        packed.writestr("a.wav", b"first")
        packed.writestr("a.wav", b"second")
    refused(path, "a.wav", "more than once.*expected 1, got 2")


@pytest.mark.case("Z7")
def test_wanted_names_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "clips.zip", {"a.wav": b"1", "A.wav": b"2", "b.wav": b"3"})
    with Archive(path) as archive:
        with pytest.raises(IntegrityError, match=r"case alone.*'a.wav' and 'A.wav'"):
            archive.check(["b.wav", "a.wav", "A.wav"])
        archive.check(["a.wav", "b.wav"])  # the other twin is not wanted


def both_headers(path: Path, offset: int, form: str, value: int) -> None:
    """Change a field that the local header and the directory hold, `offset` bytes into the local header."""
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, offset, value)
    directory = data.rindex(b"PK\x01\x02")
    struct.pack_into(form, data, directory + offset + 2, value)
    path.write_bytes(data)


def one_member(path: Path, data: bytes = NOISE) -> Path:
    return write_zip(path / "clips.zip", {"a.wav": data})


@pytest.mark.case("Z10")
def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = one_member(tmp_path)
    both_headers(path, 6, "<H", 1)
    refused(path, "a.wav", "encrypted")


@pytest.mark.case("Z10")
@pytest.mark.parametrize("method", [12, 14, 93, 99])
def test_another_compression_is_refused(tmp_path: Path, method: int) -> None:
    path = one_member(tmp_path)
    both_headers(path, 8, "<H", method)
    refused(path, "a.wav", f"expected stored or deflated, got method {method}")


def test_a_declared_size_above_the_limit_is_refused(tmp_path: Path) -> None:
    path = one_member(tmp_path)
    with Archive(path) as archive, pytest.raises(IntegrityError, match="at most 19999 bytes, got 20000"):
        archive.read("a.wav", limit_bytes=19_999)
    both_headers(path, 22, "<I", LIMIT_BYTES + 1)
    refused(path, "a.wav", "too big")


@pytest.mark.case("Z6")
@pytest.mark.parametrize("declared", [0, 1, 19_999, 20_001, 1_000_000])
def test_a_declared_size_that_lies_is_refused(tmp_path: Path, declared: int) -> None:
    path = one_member(tmp_path)
    both_headers(path, 22, "<I", declared)
    with Archive(path) as archive, pytest.raises(IntegrityError, match=r"(broken member|wrong size) in .*'a.wav'"):
        archive.read("a.wav")


def peak_bytes(use: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        use()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.case("Z5")
def test_a_bomb_is_not_inflated_beyond_what_it_declares(tmp_path: Path) -> None:
    path = one_member(tmp_path, bytes(50_000_000))
    both_headers(path, 22, "<I", 1000)

    def read() -> None:
        with Archive(path) as archive, pytest.raises(IntegrityError):
            archive.read("a.wav")

    assert peak_bytes(read) < 5_000_000


def test_the_head_of_a_member_does_not_inflate_the_rest(tmp_path: Path) -> None:
    path = one_member(tmp_path, b"RIFF" + bytes(50_000_000))
    with Archive(path) as archive:
        assert peak_bytes(lambda: archive.head("a.wav", 4)) < 5_000_000
        assert archive.head("a.wav", 4) == b"RIFF"


@pytest.mark.case("Z5")
def test_many_unwanted_members_do_no_harm(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "clips.zip", {f"{n}": b"" for n in range(20_000)} | {"a.wav": NOISE})
    with Archive(path) as archive:
        assert archive.read("a.wav") == NOISE


# Folders


@pytest.mark.case("Z4")
def test_a_link_out_of_a_folder_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", {"a.wav": NOISE})
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "out.wav").symlink_to(tmp_path / "secret")
    (folder / "in.wav").symlink_to(folder / "a.wav")
    assert Folder(folder).read("in.wav") == NOISE
    with pytest.raises(IntegrityError, match=r"leaves the folder in .*out.wav"):
        Folder(folder).read("out.wav")
    destination = tmp_path / "packed" / "clips.zip"
    with pytest.raises(IntegrityError, match=r"leaves the folder in .*out.wav"):
        pack_folder(folder, ["a.wav", "out.wav"], destination)
    assert not destination.parent.exists()


@pytest.mark.case("Z3")
@pytest.mark.parametrize("name", TRICKS)
def test_a_name_that_could_leave_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(IntegrityError, match="unsafe file name"):
        Folder(write_folder(tmp_path, {"a": b""})).read(name)


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", {"a.wav/inner": b""})
    os.mkfifo(folder / "pipe.wav")
    (folder / "lost.wav").symlink_to(folder / "nowhere")
    source = Folder(folder)
    with pytest.raises(DataError, match="1 missing file"):
        source.check(["a.wav"])
    for name, message in (("a.wav", "not a file"), ("pipe.wav", "not a file"), ("lost.wav", "missing file")):
        with pytest.raises(DataError, match=rf"{message} in .*{name}"):
            source.read(name)


def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {"a.wav": NOISE})
    with pytest.raises(IntegrityError, match=r"too big.*at most 10 bytes, got 20000"):
        Folder(folder).read("a.wav", limit_bytes=10)


@pytest.mark.case("W16")
@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {"a.wav": NOISE})
    (folder / "a.wav").chmod(0)
    with pytest.raises(DataError, match=r"unreadable file in .*a.wav: got Permission denied"):
        Folder(folder).read("a.wav")


def test_a_file_that_vanishes_is_the_files_fault_not_the_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "clips", {"a.wav": NOISE})
    monkeypatch.setattr(Folder, "check", lambda self, names: (folder / "a.wav").unlink())
    with pytest.raises(DataError, match=r"missing file in .*a.wav"):
        pack_folder(folder, ["a.wav"], tmp_path / "clips.zip")
    assert not list(tmp_path.glob("*.zip*"))


def test_a_destination_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", {"a.wav": NOISE})
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(ResourceError, match="cannot write a file"):
        pack_folder(folder, ["a.wav"], tmp_path / "taken" / "clips.zip")
