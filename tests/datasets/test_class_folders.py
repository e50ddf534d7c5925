from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest

from specnorm.datasets.acquire import acquire
from specnorm.datasets.archive import Archive
from specnorm.datasets.class_folders import read_class_folders
from specnorm.datasets.custom import read_csv_table
from specnorm.datasets.folder import Folder
from specnorm.datasets.table import labels_of
from specnorm.errors import DataError, IntegrityError
from specnorm.params.dataset import FolderParams
from tests.datasets.layouts import csv_bytes, csv_params, folder_params, write_folder, write_zip
from tests.faults.bad_wav import wav

DIGITS = Path(__file__).parents[3] / "shared/data/spoken-digits.zip"
PETS = {f"{label}/{speaker}_{n}.wav": b"audio" for label in ("dog", "cat") for speaker in "abcd" for n in range(4)}
JUNK = dict.fromkeys(
    (
        ".DS_Store",
        "dog/.DS_Store",
        "dog/._a_0.wav",
        "__MACOSX/dog/._a_0.wav",
        "__MACOSX/x.wav",
        "cat/Thumbs.db",
        "cat/desktop.ini",
        ".git/x.wav",
        "cat/@eaDir/a_0.wav",
    ),
    b"",
)

As = Literal["zip", "folder"]


def read(
    place: Path, members: Mapping[str, bytes], params: FolderParams | None = None, *, way: As = "folder"
) -> tuple[pd.DataFrame, list[str]]:
    if way == "folder":
        return read_class_folders(Folder(write_folder(place / "pets", members)), params or folder_params())
    with Archive(write_zip(place / "pets.zip", members)) as archive:
        return read_class_folders(archive, params or folder_params())


@pytest.mark.parametrize("way", ["folder", "zip"])
def test_a_class_is_a_sub_folder_and_targets_go_by_the_sorted_names(tmp_path: Path, way: As) -> None:
    clips, warnings = read(tmp_path, PETS, way=way)
    assert warnings == []
    assert labels_of(clips) == ["cat", "dog"]
    assert sorted(clips["clip"]) == sorted(clips["member"]) == sorted(clips["source"]) == sorted(PETS)
    assert (clips["label"] == clips["clip"].str.partition("/")[0]).all()
    assert set(clips.groupby(["label", "fold"]).size()) == {8}


@pytest.mark.parametrize("way", ["folder", "zip"])
@pytest.mark.parametrize("top", ["my set/", "my set/audio/"])
def test_folders_that_wrap_all_classes_are_looked_through(tmp_path: Path, top: str, way: As) -> None:
    plain, _ = read(tmp_path / "plain", PETS)
    wrapped = {f"{top}{name}": data for name, data in (PETS | JUNK).items()}
    beside = {"my set/README.md": b"", ".DS_Store": b"", "__MACOSX/my set/._dog": b""}
    clips, warnings = read(tmp_path, wrapped | beside, way=way)
    assert warnings == ["files that are not read as audio, left out: 1 (.md: 1)"]
    assert (clips["member"] == top + clips["clip"]).all()
    pd.testing.assert_frame_equal(clips.drop(columns="member"), plain.drop(columns="member"))


def test_deeper_folders_mean_nothing(tmp_path: Path) -> None:
    deep = {f"{name.replace('/', '/home/')}": data for name, data in PETS.items() if name.startswith("dog")}
    clips, _ = read(tmp_path, PETS | deep)
    assert labels_of(clips) == ["cat", "dog"]
    assert "dog/home/a_0.wav" in set(clips["clip"])


@pytest.mark.parametrize("way", ["folder", "zip"])
def test_what_systems_leave_behind_is_passed_over_and_other_files_are_counted(tmp_path: Path, way: As) -> None:
    clips, warnings = read(tmp_path, PETS | JUNK, way=way)
    assert (len(clips), warnings) == (len(PETS), [])
    others = {"LICENSE": b"", "dog/a.txt": b"", "cat/b.TXT": b"", "cat/c.m4a": b""}
    _, warnings = read(tmp_path, PETS | JUNK | others, way=way)
    assert warnings == ["files that are not read as audio, left out: 4 (.m4a: 1, .txt: 2, no suffix: 1)"]


def test_a_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    clips, _ = read(tmp_path, {name.replace(".wav", ".WAV"): data for name, data in PETS.items()})
    assert len(clips) == len(PETS)


@pytest.mark.parametrize(("grouped", "pattern"), [(False, None), (True, "^([a-d])_")])
def test_folds_are_those_of_a_table_with_the_same_clips(tmp_path: Path, grouped: bool, pattern: str | None) -> None:
    rows = [{"filename": name, "label": name[:3], "speaker": name.split("/")[1][0]} for name in PETS]
    write_folder(tmp_path / "pets", PETS | {"metadata.csv": csv_bytes(rows)})
    by_table, _ = read_csv_table(
        Folder(tmp_path / "pets"), csv_params(seed=3, group_column="speaker" if grouped else None)
    )
    clips, _ = read_class_folders(Folder(tmp_path / "pets"), folder_params(seed=3, group_pattern=pattern))
    pd.testing.assert_frame_equal(clips, by_table)


def test_a_group_of_the_pattern_stays_in_one_fold_across_classes(tmp_path: Path) -> None:
    clips, _ = read(tmp_path, PETS, folder_params(folds=4, group_pattern="([a-d])_"))
    assert clips["source"].tolist() == [name[4] for name in clips["clip"]]
    assert set(clips.groupby("source")["fold"].nunique()) == {1}
    assert set(clips.groupby("fold")["label"].nunique()) == {2}


@pytest.mark.parametrize(
    ("pattern", "got"), [("^([a-d])_", "no match"), ("([a-d]?)", "an empty group"), ("([a-d])_|lost", "an empty group")]
)
def test_a_file_whose_name_does_not_tell_its_group_is_named(tmp_path: Path, pattern: str, got: str) -> None:
    members = PETS | {"dog/a_b/lost.wav": b""}  # the pattern is not asked of folders
    with pytest.raises(DataError, match=rf"not tell its group in .*pets, dog/a_b/lost\.wav: .*, got {got}$"):
        read(tmp_path, members, folder_params(group_pattern=pattern))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"1.wav": b"", "2.wav": b""}, "too few class folders in .*: expected at least two .*got none. dataset=csv"),
        ({}, "too few class folders in .*got none"),
        ({"dog/1.wav": b"", "dog/2.wav": b""}, "too few class folders in .*pets: .*got 'dog'"),
        ({"dog/1.wav": b"", "dog/young/2.wav": b"", "dog/old/2.wav": b""}, "too few class folders in .*got 'dog'"),
        ({"set/a/dog/1.wav": b""}, "too few class folders in .*folder 'set/a': .*got 'dog'"),
        (PETS | {"x.wav": b"", "y.mp3": b""}, r"audio beside the class folders in .*got 2, first 'x\.wav'"),
        (PETS | {"fox/notes.txt": b""}, r"no audio in a class folder in .*\.wav.*got none in 'fox'\. Fill it"),
        (PETS | {"dog/9.Caf": b""}, "unsupported audio in dog/9.Caf: .*got CAF. Convert it to FLAC or WAV"),
        (PETS | {"set/1.txt": b"", "set/b/1.m4a": b""}, "no audio in a class folder in .*got none in 'set'"),
        (
            {f"{part}/{name}": b"" for part in ("Train", "test", "validation") for name in PETS},
            "parts of a data set in place of classes in .*got 'Train', 'test', 'validation'. Folds are made here",
        ),
        ({f"fold{n}/{n}.wav": b"" for n in range(9)}, "parts of a data set.*'fold4' and 4 more. Folds"),
        (PETS | {"bat/1.wav": b""}, "label 'bat' stands in one fold"),
    ],
)
def test_another_layout_is_refused_in_words(tmp_path: Path, members: Mapping[str, bytes], message: str) -> None:
    (tmp_path / "pets").mkdir()
    with pytest.raises(DataError, match=message):
        read(tmp_path, members)


def test_one_class_called_as_a_part_is_a_class(tmp_path: Path) -> None:
    clips, _ = read(tmp_path, {f"{label}/{n}.wav": b"" for label in ("train", "plane") for n in range(4)})
    assert labels_of(clips) == ["plane", "train"]


def test_an_empty_folder_and_a_link_to_one_are_no_classes(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets", PETS)
    (tmp_path / "pets/fox").symlink_to(tmp_path / "pets/dog")
    (tmp_path / "pets/hen").mkdir()
    (tmp_path / "pets/.cache").mkdir()
    with pytest.raises(DataError, match=r"got none in 'fox', 'hen'.*links to folders are not followed"):
        read(tmp_path, {})
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as packed:
        packed.writestr("set/", b"")
        for name in PETS:
            packed.writestr(f"set/{name}", b"")
        packed.writestr("set/hen/", b"")
    with Archive(tmp_path / "pets.zip") as archive, pytest.raises(DataError, match=r"'set'.*got none in 'hen'"):
        read_class_folders(archive, folder_params())


def test_names_that_cannot_be_trusted_are_refused(tmp_path: Path) -> None:
    bad = {
        "../dog/1.wav": "unsafe file name",
        "dog\\1.wav": "a backslash",
        "/dog/1.wav": "an absolute path",
        "Dog/9.wav": "two names differ in case alone",
        "dog/A_0.wav": "two names differ in case alone",
    }
    for name, message in bad.items():
        with pytest.raises(IntegrityError, match=message):
            read(tmp_path, PETS | {name: b""}, way="zip")
    write_folder(tmp_path / "pets", PETS)
    (tmp_path / "secret.wav").write_bytes(b"")
    (tmp_path / "pets/dog/link.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(IntegrityError, match="a link leaves the folder"):
        read(tmp_path, {})


@pytest.mark.skipif(not DIGITS.exists(), reason="the real recordings are not on this machine")
def test_spoken_digits_in_class_folders(tmp_path: Path) -> None:
    """Real recordings, 30 of each digit: ten classes, six speakers told by the file name `7_jackson_12.wav`."""
    with zipfile.ZipFile(DIGITS) as packed:
        for member in packed.namelist():
            name = member.removeprefix("recordings/")
            if name.endswith(tuple(f"_{take}.wav" for take in range(5))):
                write_folder(tmp_path / "digits", {f"{name[0]}/{name}": packed.read(member)})
    params = folder_params(source="digits", folds=3, group_pattern=r"^\d_([a-z]+)_\d+\.wav$")
    info = acquire(params, tmp_path / "out", root=tmp_path, cache=tmp_path / "cache", progress=False)
    assert (info["name"], info["clips"], info["sources"]) == ("digits", 300, 6)
    assert info["classes"] == list("0123456789")
    assert info["folds"] == {"1": 100, "2": 100, "3": 100}  # two speakers each
    assert info["warnings"] == []
    lengths = info["lengths"]
    assert (lengths["known"], lengths["unknown"]) == (300, 0)
    assert 0.1 < lengths["seconds"]["min"] < lengths["seconds"]["median"] < lengths["clip_seconds"] < 1


def test_no_file_of_a_folder_is_opened_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100,000 files every further look takes as long as the first; what is asked later is asked of the archive."""
    place = write_folder(tmp_path / "pets", {name: wav(bytes(3200)) for name in PETS})
    opened: Counter[Path] = Counter()
    path_open = Path.open

    def counting(path: Path, *words: Any, **named: Any) -> Any:
        if path.is_relative_to(place):
            opened[path] += 1
        return path_open(path, *words, **named)

    monkeypatch.setattr(Path, "open", counting)
    acquire(folder_params(source="pets"), tmp_path / "out", root=tmp_path, cache=tmp_path / "cache", progress=False)
    assert len(opened) == len(PETS)
    assert set(opened.values()) == {1}
