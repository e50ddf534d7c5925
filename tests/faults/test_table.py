"""Bad tables: every fault is refused by the name of the file, the row and the column."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from specnorm.datasets.archive import Archive
from specnorm.datasets.custom import read_csv_table
from specnorm.datasets.esc50 import read_esc_table
from specnorm.datasets.rows import parse_rows
from specnorm.datasets.table import Clip, clip_table, decode_clips
from specnorm.errors import DataError, IntegrityError
from specnorm.params.dataset import CsvParams
from tests.datasets.layouts import (
    Rows,
    csv_bytes,
    csv_params,
    cut_rows,
    esc_members,
    esc_params,
    esc_row,
    pin_made_up_rows,
    published_rows,
    wav_bytes,
    write_zip,
)

# Rows of any CSV


@pytest.mark.case("M1", "M3")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty table in t.csv: expected the columns a, b, got no header"),
        (b"\xef\xbb\xbf\r\n\r\n", "got no header"),
        (b"a,b\n", "empty table in t.csv: expected a row a clip, got a header alone"),
        (b"a,c\n1,2\n", "missing column b in t.csv: got the columns a, c"),
        (b"a;b\n1;2\n", "missing column a"),
        (b"a,b,b\n1,2,3\n", "a column stands twice b"),
        (b"a,b\n1,2\n3\n", "wrong number of fields in t.csv, row 3: expected 2, got 1"),
        (b"a,b\n1,2,3\n", "row 2: expected 2, got 3"),
        (b"a,b\n1,2\n\xff,4\n", "bad characters in t.csv, row 3: expected UTF-8, got byte 0xff"),
        ("a,b\n1,2\n".encode("utf-16"), "expected UTF-8"),
        (b'a,b\n1,"2\n', "not a CSV in t.csv, row 2"),
        (b"a,b\n1," + b"x" * 200_000, "not a CSV in t.csv, row 2"),
    ],
)
def test_a_faulty_csv_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_rows(data, ["a", "b"], where="t.csv")
    assert message in str(caught.value)


@pytest.mark.parametrize("value", ["0", "-1", "x", "", "1.0", "1e0", "٣", "+1", "0x1", "99999999999999999999"])
def test_a_faulty_number_is_refused(value: str) -> None:
    row = parse_rows(f"a,b\n{value},\n".encode(), ["a"], where="t.csv")[0]
    with pytest.raises(DataError) as caught:
        row.integer("a", 1)
    assert f"bad a in t.csv, row 2: expected a whole number from 1, got {value!r}" in str(caught.value)


# ESC-50


def esc_refused(tmp_path: Path, rows: Rows, message: str, **params: Any) -> None:
    path = write_zip(tmp_path / "esc.zip", esc_members(rows))
    with Archive(path) as archive, pytest.raises(DataError, match=message) as caught:
        read_esc_table(archive, esc_params(**params))
    assert "esc.zip" in str(caught.value)


@pytest.mark.case("M4", "M5", "M6", "M11")
@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("fold", 0, r"bad fold in .*esc50.csv, row 3: expected a whole number from 1 to 5, got '0'"),
        ("fold", 6, "row 3: expected a whole number from 1 to 5, got '6'"),
        ("fold", "x", "row 3: .*got 'x'"),
        ("fold", "", "row 3: .*got ''"),
        ("fold", 2, "bad fold in .*row 3: expected 1 as in the file name 1-112-A-10.ogg, got 2"),
        ("target", 50, "bad target in .*row 3: expected a whole number from 0 to 49, got '50'"),
        ("target", -1, "bad target in .*row 3"),
        ("target", 38, "bad target in .*row 3: expected 10 as in the file name"),
        ("src_file", 9, "bad src_file in .*row 3: expected 112 as in the file name"),
        ("take", "B", "bad take in .*row 3: expected A as in the file name"),
        ("take", "", "bad take in .*row 3: expected a value, got nothing"),
        ("esc10", "yes", "bad esc10 in .*row 3: expected True or False, got 'yes'"),
        ("esc10", False, "bad category in .*row 3: expected class_10, esc10 True as in other rows of target 10"),
        ("category", "cow", "bad category in .*row 3: expected class_10"),
        ("category", "", "bad category in .*row 3"),
        ("filename", "../../etc/passwd", "bad filename in .*row 3"),
        ("filename", "/abs.wav", "bad filename in .*row 3"),
        ("filename", "1-112-A-10.wav\0", "bad filename in .*row 3"),
        ("filename", "1-112-A-10.mp3", "bad filename in .*row 3"),
        ("filename", "", "bad filename in .*row 3"),
    ],
)
def test_a_faulty_row_of_esc50_is_refused(tmp_path: Path, column: str, value: object, message: str) -> None:
    rows = cut_rows()
    rows[1][column] = value
    esc_refused(tmp_path, rows, message)


@pytest.mark.case("M7")
def test_a_file_in_two_rows_is_refused(tmp_path: Path) -> None:
    rows = cut_rows()
    esc_refused(tmp_path, [*rows, rows[1]], "bad filename in .*row 10: .*got 1-112-A-10.ogg, as in row 3")


@pytest.mark.case("M5")
def test_one_category_for_two_targets_is_refused(tmp_path: Path) -> None:
    rows = [{**row, "category": "same"} for row in cut_rows()]
    esc_refused(tmp_path, rows, "bad target in .*row 4: expected 10 as in other rows of same, got 38")


@pytest.mark.case("M9")
def test_a_source_in_two_folds_is_refused(tmp_path: Path) -> None:
    rows = [*cut_rows(), esc_row(1, 777, "A", 10), esc_row(2, 777, "B", 10)]
    esc_refused(tmp_path, rows, "source 777 stands in more than one fold.*got folds 1, 2")


@pytest.mark.case("M9")
@pytest.mark.parametrize(("source", "folds"), [(131943, (2, 3)), (209698, (4, 5))])
def test_the_sources_that_are_published_so_pass(tmp_path: Path, source: int, folds: tuple[int, int]) -> None:
    rows = [*cut_rows(), *(esc_row(fold, source, "A", 10) for fold in folds)]
    with Archive(write_zip(tmp_path / "esc.zip", esc_members(rows))) as archive:
        assert len(read_esc_table(archive, esc_params())[0]) == 10


@pytest.mark.case("M9")
def test_a_known_source_in_a_third_fold_is_refused(tmp_path: Path) -> None:
    rows = [*cut_rows(), *(esc_row(fold, 131943, "A", 10) for fold in (2, 3, 4))]
    esc_refused(tmp_path, rows, "source 131943 stands in more than one fold.*got folds 2, 3, 4")


@pytest.mark.case("M8")
def test_missing_clips_are_listed(tmp_path: Path) -> None:
    members = {name: data for name, data in esc_members(cut_rows()).items() if "-10.ogg" not in name}
    with (
        Archive(write_zip(tmp_path / "esc.zip", members)) as archive,
        pytest.raises(DataError, match=r"4 missing files in .*esc.zip: got no ESC-50-master/audio/1-111-A-10.ogg, "),
    ):
        read_esc_table(archive, esc_params())


@pytest.mark.parametrize(
    "names",
    [["audio/a.wav"], ["meta/esc50.csv", "x/meta/esc50.csv"], ["x/y/meta/esc50.csv"], ["meta/esc50.csv.bak"]],
)
def test_another_layout_is_refused(tmp_path: Path, names: list[str]) -> None:
    with (
        Archive(write_zip(tmp_path / "esc.zip", dict.fromkeys(names, b""))) as archive,
        pytest.raises(DataError, match=r"not in ESC-50's layout in .*esc.zip: expected one meta/esc50.csv"),
    ):
        read_esc_table(archive, esc_params())


def test_no_row_of_the_subset_is_refused(tmp_path: Path) -> None:
    rows = [esc_row(fold, f"{fold}{target}", "A", target) for fold in (1, 2) for target in (2, 3)]
    esc_refused(tmp_path, rows, "empty subset", subset="esc10")


def test_a_class_in_one_fold_is_refused(tmp_path: Path) -> None:
    esc_refused(tmp_path, [*cut_rows(), esc_row(1, 5, "A", 7)], "label 'class_7' stands in one fold.*got fold 1 alone")


def replaced(rows: Rows, index: int, row: dict[str, Any]) -> Rows:
    return [*rows[:index], row, *rows[index + 1 :]]


@pytest.mark.case("M10")
def test_partial_data_is_refused_with_its_counts(tmp_path: Path) -> None:
    rows = [row for row in published_rows() if row["fold"] != 1]
    esc_refused(
        tmp_path,
        rows,
        r"wrong number of clips in .*expected 2000, got 1600 \(clips a fold 1: 0, 2: 400, .*complete=false",
        complete=True,
    )


def test_esc10_taken_for_esc50_is_recognised(tmp_path: Path) -> None:
    rows = [row for row in published_rows() if row["esc10"]]
    esc_refused(tmp_path, rows, "expected 2000, got 400.*This looks like ESC-10: set dataset=esc10", complete=True)


@pytest.mark.case("M10")
def test_uneven_folds_of_a_full_count_are_refused(tmp_path: Path) -> None:
    rows = published_rows()
    rows = replaced(rows, 0, esc_row(2, rows[0]["src_file"] + 900_000, "A", rows[0]["target"]))
    esc_refused(tmp_path, rows, "wrong number of clips of target 0 in fold 1.*expected 8, got 7", complete=True)


def test_another_number_of_sources_is_refused(tmp_path: Path) -> None:
    rows = published_rows()
    rows = replaced(rows, 0, esc_row(1, 900_000, "A", 0))
    esc_refused(tmp_path, rows, "wrong number of sources.*expected 1524, got 1525", complete=True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (wav_bytes(220500, rate=22050), r"expected sample_rate 44100, got sample_rate 22050"),
        (wav_bytes(220500, channels=2), "expected channels 1, got channels 2"),
        (wav_bytes(220500, width=3), "expected bits 16, got bits 24"),
        (wav_bytes(220499), "expected frames 220500, got frames 220499"),
        (wav_bytes(220500)[:-1], "truncated in .*expected 220500 frames by the header, got 220499 in 441043 bytes"),
        (b"<html>", "not a WAV file in .*got b'<html>'"),
        (b"", "truncated in .*expected a data chunk, got the end of the file after 0 bytes"),
        (b"RIFF\0\0\0\0WAVEfmt ", "truncated in .*expected a data chunk, got the end of the file after 16 bytes"),
    ],
)
def test_a_clip_of_another_form_is_refused_in_a_complete_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, message: str
) -> None:
    pin_made_up_rows(monkeypatch)
    rows = [row for row in published_rows() if row["esc10"]]
    bad = rows[0]["filename"] = rows[0]["filename"].replace(".ogg", ".wav")
    members = {**esc_members(rows), f"ESC-50-master/audio/{bad}": data}
    with (
        Archive(write_zip(tmp_path / "esc.zip", members)) as archive,
        pytest.raises(DataError, match=message) as caught,
    ):
        read_esc_table(archive, esc_params(complete=True, subset="esc10"))
    assert bad in str(caught.value)


# CSV

GOOD: Rows = [
    {"filename": f"{label}{n}.wav", "label": label, "fold": 1 + n % 2, "group": f"{label}{n % 4}"}
    for label in ("cat", "dog")
    for n in range(8)
]


def csv_archive(tmp_path: Path, rows: Rows) -> Path:
    members = {f"{row['filename']}": b"audio" for row in GOOD}
    return write_zip(tmp_path / "clips.zip", {**members, "metadata.csv": csv_bytes(rows)})


def csv_refused(tmp_path: Path, rows: Rows, params: CsvParams, message: str) -> None:
    with Archive(csv_archive(tmp_path, rows)) as archive, pytest.raises(DataError, match=message) as caught:
        read_csv_table(archive, params)
    assert "clips.zip" in str(caught.value)


@pytest.mark.case("M4", "M7", "M11")
@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("filename", "../../etc/passwd", r"bad filename in .*metadata.csv, row 3: .*a '..' part"),
        ("filename", "/etc/passwd", "row 3: .*an absolute path"),
        ("filename", "a\\b.wav", "row 3: .*a backslash"),
        ("filename", "C:a.wav", "row 3: .*a drive letter"),
        ("filename", "a.wav\0", "row 3: .*a control character"),
        ("filename", "", "bad filename in .*row 3: expected a value"),
        ("filename", "cat0.wav", "row 3: .*as in row 2"),
        ("filename", "lost.wav", r"1 missing file in .*clips.zip: got no lost.wav"),
        ("label", "a\tb", "bad label in .*row 3: .*a control character"),
        ("label", " ", "bad label in .*row 3: expected a value"),
        ("fold", 0, "bad fold in .*row 3: expected a whole number from 1, got '0'"),
        ("fold", "x", "bad fold in .*row 3"),
        ("fold", "", "bad fold in .*row 3"),
        ("group", "", "bad group in .*row 3"),
        ("group", "cat0", "source cat0 stands in more than one fold.*got folds 1, 2"),
    ],
)
def test_a_faulty_row_is_refused(tmp_path: Path, column: str, value: object, message: str) -> None:
    rows = replaced(GOOD, 1, {**GOOD[1], column: value})
    csv_refused(tmp_path, rows, csv_params(fold_column="fold", group_column="group"), message)


@pytest.mark.case("M1")
def test_a_missing_table_and_a_missing_column_are_named(tmp_path: Path) -> None:
    csv_refused(
        tmp_path,
        GOOD,
        csv_params(table="x.csv"),
        "missing table in .*x.csv.*CSV files there: metadata.csv; set",
    )
    csv_refused(tmp_path, GOOD, csv_params(label_column="class"), "missing column class in .*columns filename, label")


@pytest.mark.case("M13")
def test_two_swapped_labels_are_refused_where_the_table_s_digest_is_given(tmp_path: Path) -> None:
    pinned = hashlib.sha256(csv_bytes(GOOD)).hexdigest()
    swapped = [GOOD[0] | {"label": "dog"}, *GOOD[1:8], GOOD[8] | {"label": "cat"}, *GOOD[9:]]
    with Archive(csv_archive(tmp_path, GOOD)) as archive:
        assert len(read_csv_table(archive, csv_params(table_sha256=pinned))[0]) == len(GOOD)
    with Archive(csv_archive(tmp_path, swapped)) as archive:
        assert len(read_csv_table(archive, csv_params())[0]) == len(GOOD)
        found = hashlib.sha256(csv_bytes(swapped)).hexdigest()
        message = (
            f"changed table in .*clips.zip, metadata.csv: expected SHA-256 {pinned}, got {found}. "
            "Mend it, or set dataset.table_sha256"
        )
        with pytest.raises(IntegrityError, match=message):
            read_csv_table(archive, csv_params(table_sha256=pinned))


def test_labels_and_folds_must_be_two(tmp_path: Path) -> None:
    csv_refused(tmp_path, GOOD[:8], csv_params(), "too few labels in .*expected at least 2, got 1")
    one_fold = [{**row, "fold": 3} for row in GOOD]
    csv_refused(tmp_path, one_fold, csv_params(fold_column="fold"), "too few folds in .*expected at least 2, got 1")


def test_a_label_with_one_clip_is_refused(tmp_path: Path) -> None:
    csv_refused(tmp_path, GOOD[:9], csv_params(), "label 'dog' stands in one fold")


def test_more_folds_than_clips_or_groups_are_refused(tmp_path: Path) -> None:
    csv_refused(tmp_path, GOOD, csv_params(folds=17), "too few clips in .*at least 17 for 17 folds, got 16")
    csv_refused(tmp_path, GOOD, csv_params(folds=9, group_column="group"), "too few groups in .*got 8")
    csv_refused(tmp_path, GOOD, csv_params(folds=12), "cannot make folds.*Lower dataset.folds")


# The canonical table


def clip(name: str, fold: int, target: int, label: str) -> Clip:
    return Clip(name, f"audio/{name}", fold, target, label, name)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (clip("a", 2, 1, "y"), "a clip stands twice in set: got 'a'"),
        (clip("d", 2, 2, "y"), "bad targets in set"),
        (clip("d", 2, 1, "x"), "bad targets in set"),
        (clip("d", 2, 0, "y"), "bad targets in set"),
    ],
)
def test_a_table_unfit_for_cross_validation_is_refused(changed: Clip, message: str) -> None:
    good = [clip("a", 1, 0, "x"), clip("b", 1, 1, "y"), clip("c", 2, 0, "x"), clip("d", 2, 1, "y")]
    assert len(clip_table(good, where="set")) == 4
    with pytest.raises(DataError, match=message):
        clip_table([*good[:3], changed], where="set")


_HEADER = b"clip,member,fold,target,label,source\n"


@pytest.mark.parametrize(
    "data", [b"", b"clip,fold\na,1\n", _HEADER + b"a,a,x,0,l,s\n", _HEADER + b"a,a,1,%d,l,s\n" % 2**63]
)
def test_a_table_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"unreadable clip table in clips.csv"):
        decode_clips(data, where=Path("clips.csv"))
