"""Labels and groups that a person cannot tell apart: one class where they are the same text, else said or refused."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specnorm.datasets.archive import Archive
from specnorm.datasets.class_folders import read_class_folders
from specnorm.datasets.custom import read_csv_table
from specnorm.datasets.lookalikes import composed, skeleton
from specnorm.datasets.table import labels_of
from specnorm.errors import DataError
from tests.datasets.layouts import csv_bytes, csv_params, folder_params, write_zip

NFC, NFD = "café", "cafe\u0301"
PAIRS = [
    ("Cat", "cat"),
    ("Straße", "STRASSE"),
    ("İ", "i\u0307"),
    ("black cat", "black  cat"),
    ("black cat", "black\xa0cat"),
    ("black cat", "black\u2003cat"),
    ("cat", "c\u200bat"),
    ("cat", "cat\u200d"),
    ("cat", "\ufeffcat"),
    ("cat", "c\xadat"),
    ("cat", "cat\ufe0f"),
    ("cat", "\u202ecat\u202c"),
    ("cat", "cat\U000e0061"),
    ("cat", "ca\u2060t"),
    ("ᄀ", "ᄀ\u1160"),
    ("cat", "c\u034fat"),
    ("black cat", "\u200b Black\xa0\u200bCAT"),
    (NFC.upper(), NFD),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_what_a_person_cannot_tell_apart_has_one_skeleton(one: str, other: str) -> None:
    assert composed(one) != composed(other)
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("cat", "cats"), ("black cat", "blackcat"), ("cat", "сat"), ("a-b", "a_b"), ("1", "１"), ("é", "e")],
)
def test_what_a_person_can_tell_apart_has_two(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)


@given(st.text())
def test_a_skeleton_is_that_of_every_form_and_its_own(text: str) -> None:
    for form in (text, unicodedata.normalize("NFD", text), unicodedata.normalize("NFC", text), f" {text}\u200b"):
        assert skeleton(form) == skeleton(text)
    assert skeleton(skeleton(text)) == skeleton(text)


# --- a table


def rows_of(labels: list[str], groups: list[str] | None = None) -> list[dict[str, Any]]:
    """Four clips of each label; groups are shared out clip by clip."""
    names = [f"{place}-{n}.wav" for place in range(len(labels)) for n in range(4)]
    groups = groups or names
    return [
        {"filename": name, "label": labels[index // 4], "group": groups[index % len(groups)]}
        for index, name in enumerate(names)
    ]


def table(tmp_path: Path, rows: list[dict[str, Any]], **changes: Any) -> tuple[pd.DataFrame, list[str]]:
    members = {row["filename"]: row["filename"].encode() for row in rows}
    path = write_zip(tmp_path / "own.zip", {**members, "metadata.csv": csv_bytes(rows)})
    with Archive(path) as archive:
        return read_csv_table(archive, csv_params(**changes))


def folders(tmp_path: Path, names: list[str], **changes: Any) -> tuple[pd.DataFrame, list[str]]:
    path = write_zip(tmp_path / "own.zip", {f"{name}/{n}.wav": b"" for name in names for n in range(4)})
    with Archive(path) as archive:
        return read_class_folders(archive, folder_params(**changes))


def test_one_text_in_two_forms_is_one_label(tmp_path: Path) -> None:
    clips, warnings = table(tmp_path, rows_of([NFC, NFD, "dog"]))
    assert warnings == []
    assert labels_of(clips) == [NFC, "dog"]
    assert set(clips.groupby("label").size()) == {8, 4}


def test_one_text_in_two_forms_is_one_group_in_one_fold(tmp_path: Path) -> None:
    rows = rows_of(["cat", "dog"], [NFC, NFD, "b", "c"])
    clips, warnings = table(tmp_path, rows, group_column="group")
    assert warnings == []
    assert set(clips["source"]) == {NFC, "b", "c"}
    assert set(clips.groupby("source")["fold"].nunique()) == {1}


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_labels_that_look_alike_are_said_or_refused(tmp_path: Path, one: str, other: str) -> None:
    rows = rows_of([f"{one}1", f"{other}1", "dog"])
    _, (warning,) = table(tmp_path, rows)
    assert warning.startswith("labels that look alike and are not the same: ")
    with pytest.raises(
        DataError, match=r"labels that look alike in .*own.zip, metadata.csv: expected .*, got "
    ) as caught:
        table(tmp_path, rows, strict_labels=True)
    for told in (warning, str(caught.value)):
        assert told.isprintable()
        assert told.count("'") == 4
        assert "\ufe0f" not in told
    assert "dataset.strict_labels" in str(caught.value)


def test_both_are_shown_so_that_they_can_be_told_apart(tmp_path: Path) -> None:
    _, (warning,) = table(tmp_path, rows_of(["größer", "Größer\u200b", "größer\ufe0f", "dog"]))
    assert warning.endswith(r"'Größer\u200b', 'größer' and 'größer\ufe0f'")


def test_many_are_counted(tmp_path: Path) -> None:
    labels = [f"{form}{n}" for n in range(7) for form in ("a", "A")]
    _, (warning,) = table(tmp_path, rows_of(labels))
    assert warning.endswith("'A0' and 'a0'; 'A1' and 'a1'; 'A2' and 'a2'; 'A3' and 'a3'; 'A4' and 'a4'; and 2 more")


@pytest.mark.parametrize("column", ["fold", None])
def test_groups_that_look_alike_are_said_or_refused(tmp_path: Path, column: str | None) -> None:
    """In two folds they would be a leak: one speaker in training and held out."""
    rows = rows_of(["cat", "dog"], ["Ann", "ann", "bob", "eve"])
    rows = [row | {"fold": 1 + (row["group"] in ("ann", "bob"))} for row in rows]
    _, (warning,) = table(tmp_path, rows, group_column="group", fold_column=column)
    assert warning == "groups that look alike and are not the same: 'Ann' and 'ann'"
    with pytest.raises(DataError, match="groups that look alike"):
        table(tmp_path, rows, group_column="group", fold_column=column, strict_labels=True)
    assert table(tmp_path, rows, fold_column=column, strict_labels=True)[1] == []  # no group is asked for


def test_file_names_are_no_groups(tmp_path: Path) -> None:
    rows = rows_of(["cat", "dog"])
    rows[0]["filename"], rows[1]["filename"] = "a b.wav", "a  b.wav"
    assert table(tmp_path, rows, strict_labels=True)[1] == []


@pytest.mark.parametrize("label", ["\u200b", "\ufeff \u200b", "\u3164"])
def test_a_label_of_nothing_that_is_seen_is_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(DataError, match=r"bad label in .*row 2: expected a value, got '\\u"):
        table(tmp_path, rows_of([label, "dog"]))


# --- class folders


def test_folders_in_two_forms_are_one_class_and_found_by_their_own_names(tmp_path: Path) -> None:
    members = {f"{NFC}/{n}.wav": b"c" for n in range(2)} | {f"{NFD}/{n}.wav": b"d" for n in range(2, 5)}
    path = write_zip(tmp_path / "own.zip", members | {f"dog/{n}.wav": b"" for n in range(4)})
    with Archive(path) as archive:
        clips, warnings = read_class_folders(archive, folder_params())
        cafe = clips[clips["label"] == NFC]
        assert sorted(archive.read(member) for member in cafe["member"]) == [b"c"] * 2 + [b"d"] * 3
    assert warnings == []
    assert labels_of(clips) == [NFC, "dog"]
    assert sorted(cafe["clip"]) == [f"{NFC}/{n}.wav" for n in range(5)]


def test_one_name_in_two_forms_is_refused_where_it_is_two_files(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"one name in two Unicode forms in .*own.zip: .*got 'cafe\\u0301/0.wav' and 'caf\\xe9/0"
    ):
        folders(tmp_path, [NFC, NFD, "dog"])


def test_class_folders_that_look_alike_are_said_or_refused(tmp_path: Path) -> None:
    _, (warning,) = folders(tmp_path, ["black cat", "black  cat", "dog"])
    assert warning == "labels that look alike and are not the same: 'black  cat' and 'black cat'"
    with pytest.raises(DataError, match="labels that look alike"):
        folders(tmp_path, ["cat", "cat\u200b", "dog"], strict_labels=True)


def test_the_pattern_sees_composed_names(tmp_path: Path) -> None:
    members = {f"{label}/Jose\u0301 {n}.wav": b"" for label in ("cat", "dog") for n in range(2)}
    members |= {f"{label}/José_{n}.wav": b"" for label in ("cat", "dog") for n in range(2)}
    members |= {f"{label}/jose\u0301 {n}.wav": b"" for label in ("cat", "dog") for n in range(2, 4)}
    with Archive(write_zip(tmp_path / "own.zip", members)) as archive:
        clips, (warning,) = read_class_folders(archive, folder_params(group_pattern="^([Jj]osé)"))
    assert set(clips["source"]) == {"José", "josé"}
    assert warning == "groups that look alike and are not the same: 'José' and 'josé'"


# --- files are found in whichever form a system wrote their names


@pytest.mark.case("M12")
@pytest.mark.parametrize(("listed", "stored"), [(NFC, NFD), (NFD, NFC), (NFC, NFC), (NFD, NFD)])
def test_a_file_is_found_in_either_form_and_called_in_one(tmp_path: Path, listed: str, stored: str) -> None:
    rows = [{"filename": f"{listed} {n}.wav", "label": "ab"[n % 2]} for n in range(4)]
    members = {f"{stored}/x y/{stored} {n}.wav": f"{n}".encode() for n in range(4)}
    path = write_zip(tmp_path / "own.zip", {**members, f"{stored}.csv": csv_bytes(rows), f"{stored}/x y/more.wav": b""})
    with Archive(path) as archive:
        clips, warnings = read_csv_table(archive, csv_params(table=f"{listed}.csv", audio=f"{listed}/x y"))
        assert sorted(archive.read(member) for member in clips["member"]) == [b"0", b"1", b"2", b"3"]
    assert warnings == [f"audio files that {stored}.csv does not list, left out: 1"]
    assert sorted(clips["clip"]) == [f"{NFC} {n}.wav" for n in range(4)]


def test_of_two_files_of_one_name_the_one_of_the_same_form_is_meant(tmp_path: Path) -> None:
    rows = [{"filename": f"{name}.wav", "label": "ab"[n % 2]} for n, name in enumerate([NFC, "1", "2", "3"])]
    members = {f"{name}.wav": name.encode() for name in (NFC, NFD, "1", "2", "3")}
    with Archive(write_zip(tmp_path / "own.zip", {**members, "metadata.csv": csv_bytes(rows)})) as archive:
        clips, _ = read_csv_table(archive, csv_params())
        (member,) = clips.loc[clips["clip"] == f"{NFC}.wav", "member"]
        assert archive.read(member) == NFC.encode()


def test_of_two_other_forms_none_is_guessed(tmp_path: Path) -> None:
    mixed = ["e\u0301\u0323", "e\u0323\u0301", "\u1eb9\u0301"]  # one text; none of them is the first
    rows = [{"filename": f"{name}.wav", "label": "ab"[n % 2]} for n, name in enumerate([mixed[0], "1", "2", "3"])]
    members = {f"{name}.wav": b"" for name in (*mixed[1:], "1", "2", "3")}
    with (
        Archive(write_zip(tmp_path / "own.zip", {**members, "metadata.csv": csv_bytes(rows)})) as archive,
        pytest.raises(DataError, match=r"one name in two Unicode forms in .*own.zip: expected "),
    ):
        read_csv_table(archive, csv_params())


def test_one_name_in_two_rows_and_forms_is_refused(tmp_path: Path) -> None:
    rows = [{"filename": f"{name}.wav", "label": "ab"[n % 2]} for n, name in enumerate([NFC, NFD, "2", "3"])]
    members = {f"{name}.wav": b"" for name in (NFC, NFD, "2", "3")}
    with (
        Archive(write_zip(tmp_path / "own.zip", {**members, "metadata.csv": csv_bytes(rows)})) as archive,
        pytest.raises(DataError, match=r"bad filename in .*row 3: expected a file that no other row names"),
    ):
        read_csv_table(archive, csv_params())
