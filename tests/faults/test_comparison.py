"""A table is whole or there is none: cells that are missing, mixed, or not what they say."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from specnorm.comparison import checked
from specnorm.errors import IntegrityError
from specnorm.shards.store import Shards
from specnorm.training import cells, key
from specnorm.training.cells import StoredCell
from stages import compare
from tests import made_up


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return made_up.write_shards(tmp_path / "data/spectrograms")


@pytest.fixture
def stored(tmp_path: Path, shards: Shards) -> list[StoredCell]:
    return made_up.write_cells(tmp_path / "data/cells", shards)


FIFTH = ("waveform", "fold-2", "seed-0")  # the cell that the tests spoil: neither first nor last


def spoil(stored: list[StoredCell], change: Callable[[pd.DataFrame], pd.DataFrame]) -> list[StoredCell]:
    """Change one cell's predictions."""
    assert stored[4].folder.parts[-3:] == FIFTH
    spoilt = dataclasses.replace(stored[4], predictions=change(stored[4].predictions.copy()))
    return [*stored[:4], spoilt, *stored[5:]]


def _set(column: str, row: int, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        if isinstance(value, str):
            table[column] = table[column].astype(object)
        table.loc[row, column] = value if isinstance(value, str) else table[column].dtype.type(value)
        return table

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.iloc[:-1], "other clips"),
        (lambda table: table.iloc[::-1].reset_index(drop=True), "other clips"),
        (lambda table: pd.concat([table, table.iloc[:1]], ignore_index=True), "other clips"),
        (_set("clip", 3, "stranger.wav"), "other clips"),
        (_set("target", 3, 2), "other clips"),
        (lambda table: table.drop(columns="probability_2"), "other classes"),
        (lambda table: table.assign(probability_3=0.0), "other classes"),
        (
            lambda table: table.rename(columns={"probability_0": "probability_1", "probability_1": "probability_0"}),
            "other classes",
        ),
        (_set("probability_1", 2, np.nan), "not probabilities"),
        (_set("probability_1", 2, np.inf), "not probabilities"),
        (_set("probability_1", 2, 0.9), "not probabilities"),
        (lambda table: table.assign(probability_0=-1.0, probability_1=2.0, probability_2=0.0), "not probabilities"),
        (lambda table: table.assign(probability_0=1.0, probability_1=0.0, probability_2=0.0), "other predictions"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_predictions_that_are_not_this_folds(
    stored: list[StoredCell], shards: Shards, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    with pytest.raises(IntegrityError, match=message) as caught:
        checked.check(spoil(stored, change), shards)
    assert "/".join(FIFTH) in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.case("V5")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dataset", "other spectrograms"),
        ("front_end", "other spectrograms"),
        ("model", "another model"),
        ("train", "another train"),
        ("norm", "another normalizer"),
        ("seed", "missing cell"),
    ],
)
def test_a_cell_of_other_settings(stored: list[StoredCell], shards: Shards, name: str, message: str) -> None:
    other = {"norm": "none", "seed": 7}.get(name, "other")
    stored[4].metrics[name] = other
    with pytest.raises(IntegrityError, match=message):
        checked.check(stored, shards)


@pytest.mark.parametrize("name", ["dataset", "front_end", "model", "train"])
def test_the_folder_of_the_odd_one_is_named(stored: list[StoredCell], shards: Shards, name: str) -> None:
    stored[4].metrics[name] = "other"
    with pytest.raises(IntegrityError, match="waveform/fold-2/seed-0"):
        checked.check(stored, shards)


@pytest.mark.case("V5")
def test_two_seeds_of_one_fold_with_other_normalisers(tmp_path: Path, shards: Shards) -> None:
    first = made_up.write_cell(tmp_path / "own", shards, "global", 1, 0)
    second = made_up.write_cell(tmp_path / "own", shards, "global", 1, 1, normalizer="refitted since")
    with pytest.raises(IntegrityError, match=r"another normalizer in .*seed-1"):
        checked.check([first, second], shards)


def test_cells_of_other_data_than_the_shards(tmp_path: Path, stored: list[StoredCell]) -> None:
    rebuilt = made_up.write_shards(tmp_path / "rebuilt", dataset="relabelled clips")
    with pytest.raises(IntegrityError, match=r"other spectrograms in .*none/fold-1/seed-0"):
        checked.check(stored, rebuilt)


@pytest.mark.case("V5")
@pytest.mark.parametrize("left_out", range(12))
def test_fewer_cells_never_make_a_smaller_average(stored: list[StoredCell], shards: Shards, left_out: int) -> None:
    gone = stored.pop(left_out)
    with pytest.raises(
        IntegrityError, match=rf"missing cell in mode {gone.metrics['norm']}: .*fold {gone.metrics['fold']}"
    ):
        checked.check(stored, shards)


@pytest.mark.case("V5")
def test_a_mode_too_few_in_one_fold_and_too_many_in_another(stored: list[StoredCell], shards: Shards) -> None:
    stored[4].metrics.update(norm="none", normalizer=stored[1].metrics["normalizer"])
    with pytest.raises(IntegrityError, match=r"one cell twice: none fold 2 seed 0 in .*waveform/fold-2/seed-0"):
        checked.check(stored, shards)


def test_one_cell_counted_twice(stored: list[StoredCell], shards: Shards) -> None:
    with pytest.raises(IntegrityError, match="one cell twice: none fold 1 seed 0"):
        checked.check([*stored, stored[0]], shards)


# The stage


@pytest.mark.case("V5")
def test_a_cell_that_is_not_there(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(workspace / "data/cells/global/fold-3")
    shutil.rmtree(workspace / "data/comparison")
    assert compare.main([]) == 4
    error = capsys.readouterr().err
    assert "data/cells/global/fold-3/seed-0/metrics.json" in error
    assert "dvc repro" in error
    assert not (workspace / "data/comparison").exists()


@pytest.mark.case("V5")
def test_a_fold_that_was_never_trained(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_up.change_params(workspace, dataset={"folds": 4}, protocol={"folds": [1, 2, 3, 4]})
    assert compare.main([]) == 4
    assert "fold-4" in capsys.readouterr().err


def test_another_modes_cells_in_a_modes_folder(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(workspace / "data/cells/none")
    shutil.copytree(workspace / "data/cells/global", workspace / "data/cells/none")
    assert compare.main([]) == 4
    error = capsys.readouterr().err
    assert "another cell's files in data/cells/none/fold-1/seed-0" in error
    assert "global" in error


@pytest.mark.parametrize("name", [key.METRICS_FILE, key.RUN_FILE, cells.HISTORY_FILE, cells.PREDICTIONS_FILE])
@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"null", b"a,b\n1,2\n"])
def test_a_damaged_file_is_one_line_and_no_traceback(
    workspace: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes
) -> None:
    (workspace / "data/cells/global/fold-2/seed-0" / name).write_bytes(data)
    assert compare.main([]) == 4
    error = capsys.readouterr().err
    assert "global/fold-2/seed-0" in error
    assert len(error.splitlines()) == 1
