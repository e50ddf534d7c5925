"""Statistics files that are cut, edited or impossible."""

from __future__ import annotations

from pathlib import Path

import pytest

from specnorm.errors import IntegrityError
from specnorm.statistics import training_set
from tests.builders import edit, fit_statistics, levels, write_shards


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file."""
    training_set.write(fit_statistics(write_shards(tmp_path / "shards", levels()), 1), tmp_path / "raw.json")
    return tmp_path / "raw.json"


def refused(path: Path, match: str) -> str:
    with pytest.raises(IntegrityError, match=match) as caught:
        training_set.read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "dvc" not in message
    return message


def test_a_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "raw.json", "missing file")


@pytest.mark.case("S8")
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    refused(path, "unreadable file")


def test_bytes_that_are_no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    refused(path, "unreadable file")


@pytest.mark.parametrize("stored", ["null", "[]", "3", '"text"', "{}", '{"format": 1}', '{"format": "2"}'])
def test_another_format(path: Path, stored: str) -> None:
    path.write_text(stored)
    refused(path, "wrong statistics in .*: expected format 2")


def test_another_format_shows_both(path: Path) -> None:
    edit(path, lambda stored: stored.update(format=1))
    refused(path, "expected format 2, got 1")


COLUMNS = ["count", "mean", "m2", "minimum", "maximum", "floor_count", "frequency_hz"]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_missing(path: Path, column: str) -> None:
    edit(path, lambda stored: stored["bins"].pop(column))
    assert column in refused(path, "damaged statistics")


PROVENANCE = ["waveform", "held_out_fold", "folds_merged", "front_end", "clips_digest", "fraction"]


@pytest.mark.parametrize("key", ["bins", *PROVENANCE])
def test_a_field_missing(path: Path, key: str) -> None:
    edit(path, lambda stored: stored.pop(key))
    assert key in refused(path, "damaged statistics")


@pytest.mark.parametrize("key", PROVENANCE)
@pytest.mark.parametrize("value", [None, True, ["1"]])
def test_a_field_of_another_type(path: Path, key: str, value: object) -> None:
    edit(path, lambda stored: stored.update({key: value}))
    assert f"got {key}" in refused(path, "damaged statistics")


@pytest.mark.case("S8")
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("length", [0, 1, 8, 10])
def test_a_column_of_another_length(path: Path, column: str, length: int) -> None:
    edit(path, lambda stored: stored["bins"].update({column: (stored["bins"][column] * 2)[:length]}))
    refused(path, "impossible statistics")


def test_columns_of_no_bins(path: Path) -> None:
    # Guards: every check of no values at all passed.
    edit(path, lambda stored: stored["bins"].update({name: [] for name in stored["bins"]}))
    refused(path, "impossible statistics")


@pytest.mark.case("S8")
@pytest.mark.parametrize("column", COLUMNS[:-1])
def test_a_column_of_another_shape(path: Path, column: str) -> None:
    # Guards: nine values in a nested list were taken for nine bins.
    edit(path, lambda stored: stored["bins"].update({column: [stored["bins"][column]]}))
    refused(path, "impossible statistics")


@pytest.mark.case("S8")
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("m2", -1e-9),
        ("count", 0),
        ("count", -5),
        ("floor_count", -1),
        ("floor_count", 10**6),
        ("minimum", 500.0),
        ("maximum", -500.0),
    ],
)
def test_an_impossible_value(path: Path, column: str, value: float) -> None:
    edit(path, lambda stored: stored["bins"][column].__setitem__(4, value))
    refused(path, "impossible statistics")


@pytest.mark.parametrize("column", ["mean", "m2", "minimum", "maximum"])
def test_a_float_that_overflows(path: Path, column: str) -> None:
    edit(path, lambda stored: stored["bins"][column].__setitem__(4, "OVERFLOW"))
    path.write_text(path.read_text().replace('"OVERFLOW"', "1e999"))
    refused(path, "changed file in .*got values that are no JSON")


@pytest.mark.case("S8")
@pytest.mark.parametrize("column", ["mean", "m2", "minimum", "maximum"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_in_json(path: Path, column: str, value: float) -> None:
    edit(path, lambda stored: stored["bins"][column].__setitem__(4, value))
    refused(path, "changed file in .*got values that are no JSON")


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("value", [10**400, None, {}, "x"])
def test_a_value_that_is_no_number(path: Path, column: str, value: object) -> None:
    edit(path, lambda stored: stored["bins"][column].__setitem__(4, value))
    refused(path, "(damaged|impossible) statistics")


@pytest.mark.parametrize("value", [1e30, 2.0**63])
def test_a_count_that_no_integer_holds(path: Path, value: float) -> None:
    edit(path, lambda stored: stored["bins"]["count"].__setitem__(4, value))
    refused(path, "damaged statistics")


@pytest.mark.case("S8", "V9")
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("mean", -33.25),
        ("mean", 1e308),
        ("m2", 12.0),
        ("m2", 1e308),
        ("count", 47),
        ("minimum", -99.5),
        ("maximum", 99.5),
        ("floor_count", 1),
        ("deviation", 1.0),
        ("floor_share", 0.5),
        # What numpy would read as a number: the text of one, and a whole number of 48.5.
        ("mean", "-33.25"),
        ("count", "48"),
        ("count", 48.5),
    ],
)
def test_an_edited_value(path: Path, column: str, value: object) -> None:
    # Each is possible by itself.
    edit(path, lambda stored: stored["bins"][column].__setitem__(4, value), sealed=False)
    refused(path, "changed file in .*: expected SHA-256")


@pytest.mark.parametrize("key", ["mean", "deviation", "count"])
def test_edited_global_values(path: Path, key: str) -> None:
    # Guards: `deviation` and `global` were never read, so that an edit of them changed nothing and nobody was told.
    edit(path, lambda stored: stored["global"].update({key: stored["global"][key] + 1}), sealed=False)
    refused(path, "changed file")


def test_a_key_of_our_own_invention(path: Path) -> None:
    edit(path, lambda stored: stored.update(note="by hand"), sealed=False)
    refused(path, "changed file")


def test_an_edited_front_end(path: Path) -> None:
    edit(path, lambda stored: stored["front_end"].update(amin=1e-9), sealed=False)
    refused(path, "changed file")


def test_white_space_is_not_an_edit(path: Path) -> None:
    edit(path, lambda _: None, sealed=False)
    training_set.read(path)
