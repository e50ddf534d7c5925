from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from specnorm.datasets.archive import Archive
from specnorm.datasets.esc50 import SHARED_SOURCES, read_esc_table
from specnorm.datasets.folder import Folder
from specnorm.datasets.source import Source
from specnorm.datasets.table import COLUMNS, labels_of
from specnorm.errors import IntegrityError
from tests.datasets.layouts import (
    ESC10,
    Rows,
    csv_bytes,
    cut_rows,
    esc_members,
    esc_params,
    esc_row,
    pin_made_up_rows,
    published_rows,
    wav_bytes,
    write_folder,
    write_zip,
)

REAL = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(autouse=True)
def made_up_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    pin_made_up_rows(monkeypatch)


@pytest.mark.case("M9")
def test_a_complete_set_passes(tmp_path: Path) -> None:
    with Archive(write_zip(tmp_path / "esc.zip", esc_members(published_rows()))) as archive:
        clips, warnings = read_esc_table(archive, esc_params(complete=True))
        ten, ten_warnings = read_esc_table(archive, esc_params(complete=True, subset="esc10"))
    assert warnings == ten_warnings == []
    assert tuple(clips.columns) == COLUMNS
    assert (len(clips), clips["source"].nunique()) == (2000, 1524)
    folds = clips.groupby("source")["fold"].unique()
    assert {source: tuple(found) for source, found in folds.items() if len(found) > 1} == SHARED_SOURCES
    assert (len(ten), ten["source"].nunique()) == (400, 304)
    assert labels_of(ten) == [f"class_{target}" for target in ESC10]
    assert sorted(ten["target"].unique()) == list(range(10))


def test_clips_are_sorted_by_fold_and_name(tmp_path: Path) -> None:
    rows = cut_rows()
    for name, order in (("forward", rows), ("backward", rows[::-1])):
        with Archive(write_zip(tmp_path / name, esc_members(order))) as archive:
            clips, _ = read_esc_table(archive, esc_params())
        assert clips.iloc[0].tolist() == [
            "1-111-A-10.ogg",
            "ESC-50-master/audio/1-111-A-10.ogg",
            1,
            0,
            "class_10",
            "111",
        ]
        assert clips["clip"].tolist() == [row["filename"] for row in rows]
        assert clips["fold"].dtype == clips["target"].dtype == "int64"


@pytest.mark.parametrize("top", ["", "ESC-50-master/", "any name/"])
@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_the_top_folder_may_have_any_name_or_be_absent(tmp_path: Path, top: str, kind: str) -> None:
    members = esc_members(cut_rows(), top)
    if kind == "folder":
        clips, _ = read_esc_table(Folder(write_folder(tmp_path / "esc", members)), esc_params())
    else:
        with Archive(write_zip(tmp_path / "esc.zip", members)) as archive:
            clips, _ = read_esc_table(archive, esc_params())
    assert clips["member"][0] == f"{top}audio/1-111-A-10.ogg"


@pytest.mark.case("M1", "M2")
def test_the_public_copies_of_the_table_read_alike(tmp_path: Path) -> None:
    plain = csv_bytes(cut_rows())
    columns = list(cut_rows()[0])
    variants = {
        "bom": b"\xef\xbb\xbf" + plain,
        "crlf": plain.replace(b"\n", b"\r\n"),
        "shouted": plain.replace(b"True", b"TRUE"),
        "no-last-newline": plain.rstrip(),
        "blank-lines": plain.replace(b"\n", b"\n\n"),
        "reordered": csv_bytes([{column: row[column] for column in reversed(columns)} for row in cut_rows()]),
        "more": csv_bytes([{"note": 'a, "b"\nc', **row} for row in cut_rows()]),
    }
    tables = []
    for name, table in {"plain": plain, **variants}.items():
        with Archive(write_zip(tmp_path / name, esc_members(cut_rows(), table=table))) as archive:
            tables.append(read_esc_table(archive, esc_params())[0])
    assert all(table.equals(tables[0]) for table in tables[1:])


@pytest.mark.case("Z8", "M8")
def test_a_cut_and_unlisted_audio_are_said(tmp_path: Path) -> None:
    members = esc_members(cut_rows()) | {"ESC-50-master/audio/1-9-A-9.wav": b"", "ESC-50-master/audio/notes.txt": b""}
    with Archive(write_zip(tmp_path / "esc.zip", members)) as archive:
        _, warnings = read_esc_table(archive, esc_params())
    assert warnings == [
        "audio files that meta/esc50.csv does not list, left out: 1",
        "not held to the published facts: 8 clips of 2 classes, clips a fold 1: 4, 2: 4",
    ]


def test_wav_headers_of_the_published_form_pass(tmp_path: Path) -> None:
    rows = [row for row in published_rows() if row["esc10"]]
    rows[0]["filename"] = rows[0]["filename"].replace(".ogg", ".wav")
    plain = wav_bytes(220500)
    for data in (plain, plain[:36] + b"LIST\x05\0\0\0INFO!\0" + plain[36:], plain + b"LIST\x04\0\0\0INFO"):
        members = {**esc_members(rows), f"ESC-50-master/audio/{rows[0]['filename']}": data}
        with Archive(write_zip(tmp_path / "esc.zip", members)) as archive:
            assert len(read_esc_table(archive, esc_params(complete=True, subset="esc10"))[0]) == 400


def swapped(rows: Rows, one: int, other: int) -> Rows:
    """Two categories under each other's names, in every row: all counts and all cross-checks stay right."""
    names = {one: f"class_{other}", other: f"class_{one}"}
    return [row | {"category": names.get(row["target"], row["category"])} for row in rows]


@pytest.mark.case("M13")
@pytest.mark.parametrize("subset", ["all", "esc10"])
@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_two_swapped_categories_of_a_complete_set_are_refused(tmp_path: Path, kind: str, subset: str) -> None:
    members = esc_members(swapped(published_rows(), 0, 1))
    params = esc_params(complete=True, subset=subset)
    message = (
        r"not the published table in .*meta/esc50.csv: expected rows of SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}\. "
        r"Compare it with the published file; dataset.complete=false takes it as it is"
    )
    with Archive(write_zip(tmp_path / "esc.zip", members)) as archive:
        source: Source = archive if kind == "zip" else Folder(write_folder(tmp_path / "esc", members))
        with pytest.raises(IntegrityError, match=message):
            read_esc_table(source, params)


@pytest.mark.case("M13")
def test_another_recording_in_the_place_of_one_is_refused(tmp_path: Path) -> None:
    """In the table and among the files: every count is as published."""
    rows = published_rows()
    lonely = next(row for row in rows if sum(row["src_file"] == other["src_file"] for other in rows) == 1)
    rows[rows.index(lonely)] = esc_row(lonely["fold"], 900_000, "A", lonely["target"])
    with (
        Archive(write_zip(tmp_path / "esc.zip", esc_members(rows))) as archive,
        pytest.raises(IntegrityError, match="not the published table"),
    ):
        read_esc_table(archive, esc_params(complete=True))


@pytest.mark.case("M2")
def test_a_public_copy_of_the_published_table_passes_and_its_other_bytes_are_said(tmp_path: Path) -> None:
    rows = published_rows()
    plain = csv_bytes(rows)
    digest = hashlib.sha256(plain.replace(b".ogg", b".wav")).hexdigest()
    variants = {
        "bom": b"\xef\xbb\xbf" + plain,
        "crlf": plain.replace(b"\n", b"\r\n"),
        "shouted": plain.replace(b"True", b"TRUE").replace(b"False", b"FALSE"),
        "backward": csv_bytes(rows[::-1]),
        "more": csv_bytes([{**row, "note": ""} for row in rows]),
    }
    tables = []
    for name, data in {"plain": plain, **variants}.items():
        with Archive(write_zip(tmp_path / name, esc_members(rows, table=data))) as archive:
            clips, warnings = read_esc_table(archive, esc_params(complete=True))
        tables.append(clips)
        said = f"the bytes of meta/esc50.csv are not the published ones (SHA-256 {hashlib.sha256(data).hexdigest()}), "
        assert warnings == ([] if name == "plain" else [said + f"its rows are (SHA-256 {digest})"])
    assert all(table.equals(tables[0]) for table in tables)


@pytest.mark.parametrize("name", ["esc10-wav.zip", "esc10-ogg.zip"])
def test_the_real_esc10_shows_the_published_facts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real table's digests
    if not (REAL / name).exists():
        pytest.skip("the real clips are not here")
    with Archive(REAL / name) as archive:
        clips, warnings = read_esc_table(archive, esc_params(complete=True, subset="esc10"))
    assert warnings == []
    assert clips["source"].nunique() == 304
    assert labels_of(clips)[:3] == ["dog", "rooster", "rain"]
