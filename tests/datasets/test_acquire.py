from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from specnorm.datasets import acquire as acquire_module
from specnorm.datasets import synthetic
from specnorm.datasets.acquire import acquire
from specnorm.datasets.dataset import FORMAT, open_dataset
from specnorm.datasets.table import Clip, clip_table
from specnorm.errors import DataError, IntegrityError, ResourceError
from specnorm.files import read_sealed
from specnorm.params.dataset import CsvParams, DatasetParams, SyntheticParams
from tests.datasets.layouts import (
    csv_bytes,
    csv_params,
    cut_rows,
    esc_members,
    esc_params,
    folder_params,
    pin_made_up_rows,
    published_rows,
    wav_bytes,
    write_folder,
    write_zip,
)
from tests.faults.server import Reply, serve

WRITTEN = ["archive.zip", "clips.csv", "dataset.json"]


class Place:
    """A root with data, an output folder and a cache."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.out = folder / "out"
        self.cache = folder / "cache"
        self.root.mkdir()

    def acquire(self, params: DatasetParams) -> dict[str, Any]:
        return acquire(params, self.out, root=self.root, cache=self.cache, progress=False)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def esc_zip(place: Place) -> Path:
    return write_zip(place.root / "esc.zip", esc_members(cut_rows()))


def test_a_local_zip_is_copied(place: Place, esc_zip: Path) -> None:
    esc_zip.chmod(0o444)
    info = place.acquire(esc_params(source="esc.zip"))
    assert sorted(path.name for path in place.out.iterdir()) == WRITTEN
    assert read_sealed(place.out / "dataset.json", format=FORMAT) == info
    archive = place.out / "archive.zip"
    assert archive.read_bytes() == esc_zip.read_bytes()
    assert not archive.samefile(esc_zip)
    assert os.access(archive, os.W_OK)
    digests = {key: info.pop(key) for key in ("digest", "archive_sha256", "clips_sha256")}
    assert digests["archive_sha256"] == hashlib.sha256(esc_zip.read_bytes()).hexdigest()
    assert digests["clips_sha256"] == hashlib.sha256((place.out / "clips.csv").read_bytes()).hexdigest()
    assert info == {
        "format": 2,
        "name": "esc",
        "kind": "esc50",
        "subset": "all",
        "origin": "esc.zip",
        "archive_bytes": esc_zip.stat().st_size,
        "md5_matches": None,
        "clips": 8,
        "classes": ["class_10", "class_38"],
        "folds": {"1": 4, "2": 4},
        "sources": 8,
        "lengths": {"known": 0, "unknown": 8, "seconds": None, "clip_seconds": None},
        "warnings": ["not held to the published facts: 8 clips of 2 classes, clips a fold 1: 4, 2: 4"],
    }


def test_what_was_acquired_opens(place: Place, esc_zip: Path) -> None:
    info = place.acquire(esc_params(source=str(esc_zip)))
    with open_dataset(place.out) as dataset:
        assert dataset.info == info
        assert len(dataset.clips) == 8
        assert dataset.read(dataset.clips["member"][0]) == b"1-111-A-10.ogg"


def test_the_content_decides_the_digest_and_not_the_packing(place: Place) -> None:
    members = esc_members(cut_rows())
    write_zip(place.root / "a.zip", members)
    with zipfile.ZipFile(place.root / "b.zip", "w", zipfile.ZIP_STORED) as packed:
        for name, data in reversed(esc_members(cut_rows(), top="").items()):
            packed.writestr(name, data)
    write_folder(place.root / "c", members)
    write_zip(place.root / "d.zip", {**members, "ESC-50-master/audio/1-111-A-10.ogg": b"another sound"})
    digests = {name: place.acquire(esc_params(source=name))["digest"] for name in ("a.zip", "b.zip", "c", "d.zip")}
    assert digests["a.zip"] == digests["b.zip"] == digests["c"] != digests["d.zip"]


@pytest.mark.parametrize("top", ["", "ESC-50-master/"])
def test_a_local_folder_is_packed(place: Place, top: str) -> None:
    folder = write_folder(place.root / "clips", {**esc_members(cut_rows(), top), f"{top}audio/more.wav": b""})
    info = place.acquire(esc_params(source="clips"))
    assert info["origin"] == "clips"
    with zipfile.ZipFile(place.out / "archive.zip") as packed:
        assert sorted(packed.namelist()) == sorted(esc_members(cut_rows(), top))
    first = (place.out / "archive.zip").read_bytes()
    shutil.copytree(folder, place.root / "copy")
    place.acquire(esc_params(source="copy"))
    assert (place.out / "archive.zip").read_bytes() == first


@pytest.mark.case("M12")
def test_a_csv_data_set_with_any_names_goes_all_the_way(place: Place) -> None:
    rows = [{"filename": f"Vögel {n}.wav", "label": "鳥" if n % 2 else "bird, small"} for n in range(8)]
    members = {f"a b/{row['filename']}": f"{n}".encode() for n, row in enumerate(rows)}
    write_folder(place.root / "my clips", {**members, "tables/t.csv": csv_bytes(rows)})
    info = place.acquire(csv_params(source="my clips", table="./tables/t.csv", audio="a b"))
    assert info["classes"] == ["bird, small", "鳥"]
    with open_dataset(place.out) as dataset:
        assert {dataset.read(member) for member in dataset.clips["member"]} == {f"{n}".encode() for n in range(8)}


@pytest.fixture
def incomplete(place: Place) -> CsvParams:
    """Two labels in three folds, the second of which has one label alone."""
    rows = [
        {"filename": f"{label}{n}.wav", "label": label, "fold": 1 + n} for label in ("cat", "dog") for n in range(3)
    ]
    rows = [row for row in rows if (row["label"], row["fold"]) != ("dog", 2)]
    members = {str(row["filename"]): str(row["filename"]).encode() for row in rows} | {"t.csv": csv_bytes(rows)}
    write_folder(place.root / "own", members)
    write_zip(place.root / "own.zip", members)
    return csv_params(source="own", table="t.csv", fold_column="fold")


def test_a_fold_that_lacks_a_class_is_said_before_anything_is_trained(place: Place, incomplete: CsvParams) -> None:
    info = place.acquire(incomplete)
    assert "fold 2 has no clip of 'dog': held out, it has no score of it" in info["warnings"]


@pytest.mark.parametrize("source", ["own", "own.zip"])
def test_a_fold_to_hold_out_that_lacks_a_class_is_refused_before_anything_is_written(
    place: Place, incomplete: CsvParams, source: str
) -> None:
    params = incomplete.model_copy(update={"source": source})
    message = (
        rf"fold 2 has no clip of class 'dog' in .*{source}, t.csv: expected every class in every held-out fold. "
        "Hold out other folds, add clips, or set compare.incomplete_folds=accept"
    )
    with pytest.raises(DataError, match=message):
        acquire(params, place.out, root=place.root, cache=place.cache, progress=False, complete_folds=[1, 2])
    assert list(place.out.iterdir()) == []


def test_folds_that_are_held_out_change_no_byte(place: Place, incomplete: CsvParams) -> None:
    """Or another protocol would make everything anew."""
    found = []
    for folds in ([], [1], [1, 3]):
        acquire(incomplete, place.out, root=place.root, cache=place.cache, progress=False, complete_folds=folds)
        found.append({path.name: path.read_bytes() for path in place.out.iterdir()})
    assert found[0] == found[1] == found[2]


def test_a_fold_to_hold_out_that_there_is_not_is_refused(place: Place, incomplete: CsvParams) -> None:
    with pytest.raises(DataError, match=r"no fold 4 in .*own, t.csv: expected some of 1, 2, 3"):
        acquire(incomplete, place.out, root=place.root, cache=place.cache, progress=False, complete_folds=[3, 4])


def test_the_name_is_kept_and_is_no_part_of_the_content(place: Place, esc_zip: Path) -> None:
    own = place.acquire(esc_params(source="esc.zip", name="my own"))
    unnamed = place.acquire(esc_params(source="esc.zip"))
    assert (own.pop("name"), unnamed.pop("name")) == ("my own", "esc")
    assert own == unnamed


def test_class_folders_go_all_the_way_packed_or_not(place: Place) -> None:
    members = {f"{label}/{n}.wav": wav_bytes(1000 * n, rate=10_000) for label in ("cat", "dog") for n in range(1, 5)}
    write_folder(place.root / "pets", {**members, "notes.txt": b""})
    write_zip(place.root / "pets.zip", {f"my pets/{name}": data for name, data in members.items()})
    folder = place.acquire(folder_params(source="pets"))
    with zipfile.ZipFile(place.out / "archive.zip") as packed:
        assert sorted(packed.namelist()) == sorted(members)
    archive = place.acquire(folder_params(source="pets.zip"))
    assert folder["name"] == archive["name"] == "pets"
    assert folder["digest"] == archive["digest"]
    assert folder["classes"] == ["cat", "dog"]
    assert folder["lengths"]["seconds"]["max"] == 0.4
    assert folder["warnings"][0] == "files that are not read as audio, left out: 1 (.txt: 1)"
    with open_dataset(place.out) as dataset:
        assert {dataset.read(member) for member in dataset.clips["member"]} == set(members.values())


def test_a_source_in_the_home_folder_is_found(place: Place, esc_zip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place.root))
    assert place.acquire(esc_params(source="~/esc.zip"))["origin"] == "esc.zip"


@pytest.mark.case("M7")
def test_equal_clips_in_two_folds_are_said(place: Place) -> None:
    members = esc_members(cut_rows())
    for name in ("1-111-A-10", "1-112-A-10", "2-239-A-38"):
        members[f"ESC-50-master/audio/{name}.ogg"] = b"the same recording"
    write_zip(place.root / "esc.zip", members)
    assert place.acquire(esc_params(source="esc.zip"))["warnings"][-2:] == [
        "clips of different folds with equal bytes: 1, first '1-111-A-10.ogg' and '2-239-A-38.ogg'",
        "clips of different labels with equal bytes: 1, first '1-111-A-10.ogg' and '2-239-A-38.ogg'",
    ]


@pytest.mark.case("M7")
@pytest.mark.parametrize(("other", "things"), [("dog", "folds"), ("cat", "labels"), ("cow", None)])
def test_one_clip_under_two_names_is_said_or_refused(place: Place, other: str, things: str | None) -> None:
    """The same bytes are a leak in two folds and a contradiction under two labels; of one fold and label they pass."""
    rows = [
        {"filename": f"{label}{n}.wav", "label": label, "fold": 1 + n % 2}
        for label in ("cat", "dog", "cow")
        for n in range(4)
    ]
    names = {"dog": ("dog0.wav", "dog1.wav"), "cat": ("cat0.wav", "dog2.wav"), "cow": ("cow0.wav", "cow2.wav")}[other]
    members = {str(row["filename"]): str(row["filename"]).encode() for row in rows} | dict.fromkeys(names, b"same")
    write_folder(place.root / "own", members | {"metadata.csv": csv_bytes(rows)})
    info = place.acquire(csv_params(source="own", fold_column="fold"))
    said = f"clips of different {things} with equal bytes: 1, first '{names[0]}' and '{names[1]}'"
    assert info["warnings"] == ([said] if things else [])
    strict = csv_params(source="own", fold_column="fold", strict_labels=True)
    if things is None:
        assert place.acquire(strict) == info
        return
    with pytest.raises(
        DataError, match=f"clips of different {things} with equal bytes in .*own: expected .*{names[1]}"
    ):
        place.acquire(strict)
    assert not (place.out / "dataset.json").exists()


def test_equal_sums_of_other_bytes_are_no_twins(place: Place) -> None:
    """CRC-32 is short: of a hundred thousand clips of one length two may well share it."""
    one, other = b"plumless", b"buckeroo"
    assert zlib.crc32(one) == zlib.crc32(other)
    members = {f"{label}/{n}.wav": f"{label}{n}".encode() for label in ("cat", "dog") for n in range(2)}
    write_zip(place.root / "own.zip", members | {"cat/0.wav": one, "dog/0.wav": other})
    assert place.acquire(folder_params(source="own.zip", strict_labels=True))["warnings"] == []


def test_the_home_of_nobody_is_refused(place: Place) -> None:
    with pytest.raises(DataError, match=r"missing source in ~no-such-user/a.zip"):
        place.acquire(esc_params(source="~no-such-user/a.zip"))


def test_a_missing_source_is_named(place: Place) -> None:
    with pytest.raises(DataError, match=rf"missing source in {place.root}/none.zip: expected a zip or a folder"):
        place.acquire(esc_params(source="none.zip"))


@pytest.mark.parametrize("source", ["x" * 256, "a/" * 2000 + "b", "ä" * 200 + "/b", "esc.zip/b"])
def test_a_source_that_the_system_cannot_look_for_is_one_line(place: Place, esc_zip: Path, source: str) -> None:
    with pytest.raises(DataError, match=r"missing source in .*expected a zip or a folder"):
        place.acquire(esc_params(source=source))
    assert list(place.out.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root looks everywhere")
def test_a_source_in_a_closed_folder_is_one_line(place: Place, esc_zip: Path) -> None:
    place.root.chmod(0)
    with pytest.raises(DataError, match=r"missing source in .*esc.zip: .*got Permission denied"):
        place.acquire(esc_params(source="esc.zip"))


def test_no_path_of_the_machine_is_written(place: Place, esc_zip: Path) -> None:
    write_folder(place.root / "folder", esc_members(cut_rows()))
    for source in (str(esc_zip), f"{place.root}/folder", f"{place.root}/folder/.", "./folder/../esc.zip"):
        place.acquire(esc_params(source=source))
        for name in ("clips.csv", "dataset.json"):
            assert str(place.root.parent) not in (place.out / name).read_text()


def test_a_failure_leaves_no_manifest(place: Place, esc_zip: Path) -> None:
    place.acquire(esc_params(source="esc.zip"))
    with pytest.raises(DataError):
        place.acquire(esc_params(source="esc.zip", complete=True))
    assert not (place.out / "dataset.json").exists()
    with pytest.raises(IntegrityError, match=r"missing file in .*dataset.json"):
        open_dataset(place.out)


def test_an_interrupted_writers_leftovers_are_removed(place: Place, esc_zip: Path) -> None:
    write_folder(place.out, {".archive.zip.123.partial": b"half"})
    place.acquire(esc_params(source="esc.zip"))
    assert sorted(path.name for path in place.out.iterdir()) == WRITTEN


# Downloads

FULL = esc_members(published_rows())
TABLE = "ESC-50-master/meta/esc50.csv"
SWAPPED = {
    TABLE: FULL[TABLE]
    .replace(b"class_0,", b"class_x,")
    .replace(b"class_1,", b"class_0,")
    .replace(b"class_x,", b"class_1,")
}


@pytest.fixture(autouse=True)
def made_up_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    pin_made_up_rows(monkeypatch)


@pytest.fixture(scope="module")
def full_zip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_zip(tmp_path_factory.mktemp("full") / "full.zip", FULL).read_bytes()


def test_a_download_is_kept_for_the_next_time(place: Place, full_zip: bytes) -> None:
    with serve(Reply(full_zip)) as server:
        params = esc_params(url=f"{server.url}/a.zip?download=1", complete=True, md5=hashlib.md5(full_zip).hexdigest())
        info = place.acquire(params)
        assert place.acquire(params) == info
        assert len(server.requests) == 1
        assert info["origin"] == f"{server.url}/a.zip"
    assert info["md5_matches"] is True
    assert info["warnings"] == []
    assert (info["clips"], info["sources"]) == (2000, 1524)
    kept = list(place.cache.glob("*.zip"))
    assert len(kept) == 1
    assert kept[0].samefile(place.out / "archive.zip")


def test_a_download_is_copied_where_it_cannot_be_linked(
    place: Place, full_zip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(acquire_module.os, "link", no_links)
    with serve(Reply(full_zip)) as server:
        place.acquire(esc_params(url=server.url, complete=True))
    assert (place.out / "archive.zip").read_bytes() == full_zip


@pytest.mark.case("D16")
def test_other_bytes_with_the_published_content_are_accepted_and_said(place: Place, full_zip: bytes) -> None:
    with serve(Reply(full_zip)) as server:
        info = place.acquire(esc_params(url=server.url, complete=True, md5="1" * 32))
    assert info["md5_matches"] is False
    assert info["warnings"] == [
        f"the archive's md5 is {hashlib.md5(full_zip).hexdigest()}, not the published {'1' * 32}; "
        "its content shows the published facts"
    ]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({name: data for name, data in FULL.items() if "/audio/1-" not in name}, "missing files"),
        (esc_members(cut_rows()), "wrong number of clips"),
        ({"x": b""}, "not in ESC-50's layout"),
        pytest.param(FULL | SWAPPED, "not the published table", marks=pytest.mark.case("M13", "D16")),
    ],
)
def test_other_bytes_with_other_content_are_refused_and_removed(
    place: Place, members: dict[str, bytes], message: str
) -> None:
    body = write_zip(place.root / "other.zip", members).read_bytes()
    with (
        serve(Reply(body)) as server,
        pytest.raises(IntegrityError, match=f"neither the digest nor the content.*{message}"),
    ):
        place.acquire(esc_params(url=server.url, complete=True))
    assert not list(place.cache.glob("*.zip"))
    assert list(place.out.iterdir()) == []


@pytest.mark.case("D16")
def test_other_bytes_with_a_broken_clip_are_refused_and_removed(place: Place, full_zip: bytes) -> None:
    body = bytearray(full_zip)
    body[len(body) // 4] ^= 1
    with (
        serve(Reply(bytes(body))) as server,
        pytest.raises(IntegrityError, match=r"neither the digest nor the content.*broken member"),
    ):
        place.acquire(esc_params(url=server.url, complete=True))
    assert not list(place.cache.glob("*.zip"))


@pytest.mark.case("D16")
def test_other_bytes_of_a_cut_are_refused(place: Place, esc_zip: Path) -> None:
    with serve(Reply(esc_zip.read_bytes())) as server, pytest.raises(IntegrityError, match="wrong digest"):
        place.acquire(esc_params(url=server.url, complete=False))


def test_the_published_bytes_with_a_faulty_table_stay_for_the_next_time(place: Place, esc_zip: Path) -> None:
    body = esc_zip.read_bytes()
    with serve(Reply(body)) as server, pytest.raises(DataError, match="wrong number of clips"):
        place.acquire(esc_params(url=server.url, complete=True, md5=hashlib.md5(body).hexdigest()))
    assert len(list(place.cache.glob("*.zip"))) == 1


# The synthetic set


def test_the_synthetic_set_is_written_by_its_module(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = clip_table(
        [Clip(f"{f}{t}", f"{f}{t}", f, t, "ab"[t], f"{f}{t}") for f in (1, 2) for t in (0, 1)], where="test"
    )

    def write_archive(params: SyntheticParams, path: Path, *, progress: bool) -> pd.DataFrame:
        write_zip(path, {name: name.encode() for name in clips["member"]})
        return clips

    monkeypatch.setattr(synthetic, "write_archive", write_archive)
    params = SyntheticParams(
        kind="synthetic", name=None, sources=1, clips=1, folds=2, sample_rate=8000, clip_seconds=0.25, seed=0
    )
    info = place.acquire(params)
    assert (info["kind"], info["subset"], info["origin"], info["clips"]) == ("synthetic", None, "synthetic", 4)
    with open_dataset(place.out) as dataset:
        assert dataset.clips.equals(clips)


# Opening


def test_every_change_after_acquiring_is_noticed(place: Place, esc_zip: Path) -> None:
    other = write_zip(place.root / "other.zip", {**esc_members(cut_rows()), "ESC-50-master/audio/1-111-A-10.ogg": b"x"})
    less = write_zip(place.root / "less.zip", {"x": b""})
    place.acquire(esc_params(source="esc.zip"))

    def edited(name: str, old: str, new: str) -> bytes:
        text = (place.out / name).read_text()
        assert old in text
        return text.replace(old, new).encode()

    changes: list[tuple[str, bytes, type[Exception], str]] = [
        ("clips.csv", edited("clips.csv", "1,0,class_10,111", "2,0,class_10,111"), IntegrityError, "changed file"),
        ("clips.csv", b"", IntegrityError, "changed file"),
        (
            "dataset.json",
            edited("dataset.json", '"format": 2', '"format": 1'),
            IntegrityError,
            "expected format 2, got 1",
        ),
        ("dataset.json", edited("dataset.json", '"sources": ', '"sources": 1'), IntegrityError, "changed file"),
        ("dataset.json", b"[]", IntegrityError, "wrong manifest"),
        ("dataset.json", b"{", IntegrityError, "expected JSON"),
        ("archive.zip", b"", IntegrityError, "broken archive"),
        ("archive.zip", other.read_bytes(), IntegrityError, "changed file"),
        ("archive.zip", less.read_bytes(), DataError, "8 missing files"),
    ]
    for name, data, error, message in changes:
        whole = (place.out / name).read_bytes()
        (place.out / name).write_bytes(data)
        with pytest.raises(error, match=message) as caught:
            open_dataset(place.out)
        assert str(place.out / name) in str(caught.value)
        (place.out / name).write_bytes(whole)
    open_dataset(place.out).close()


@pytest.mark.parametrize("name", WRITTEN)
def test_a_missing_file_is_named(place: Place, esc_zip: Path, name: str) -> None:
    place.acquire(esc_params(source="esc.zip"))
    (place.out / name).unlink()
    with pytest.raises(IntegrityError, match=name):
        open_dataset(place.out)


def test_an_output_that_cannot_be_written_is_the_machines_fault(place: Place, esc_zip: Path) -> None:
    place.out.write_bytes(b"")
    with pytest.raises(ResourceError, match="cannot write"):
        place.acquire(esc_params(source="esc.zip"))
