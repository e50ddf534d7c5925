"""The tables say what the cells' predictions say, by hand and by scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from specnorm.comparison import checked
from specnorm.comparison.checked import CellTables
from specnorm.report.confusions import most_confused
from specnorm.shards.store import Shards
from specnorm.training.cells import StoredCell
from tests import made_up


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return made_up.write_shards(tmp_path / "data/spectrograms")


@pytest.fixture
def stored(tmp_path: Path, shards: Shards) -> list[StoredCell]:
    return made_up.write_cells(tmp_path / "data/cells", shards)


@pytest.fixture
def compared(stored: list[StoredCell], shards: Shards) -> CellTables:
    return checked.check(stored, shards)


def test_a_row_a_cell_in_the_given_order(compared: CellTables) -> None:
    places = list(zip(compared.cells["norm"], compared.cells["fold"], compared.cells["seed"], strict=True))
    assert places == [(norm, fold, 0) for norm in made_up.MODES for fold in made_up.FOLDS]


def test_accuracy_by_hand(compared: CellTables) -> None:
    # write_cells: (2 * fold + 3 * mode) % 7 of the 7 clips are right.
    by_mode = {norm: list(group["accuracy"] * 7) for norm, group in compared.cells.groupby("norm", sort=False)}
    assert by_mode["none"] == pytest.approx([2, 4, 6], rel=1e-12)  # float64 rounding of sevenths
    assert by_mode["waveform"] == pytest.approx([5, 0, 2], rel=1e-12)


def test_accuracy_and_f1_are_scikit_learns(compared: CellTables, stored: list[StoredCell]) -> None:
    for row, cell in zip(compared.cells.to_dict("records"), stored, strict=True):
        targets, predicted = cell.predictions["target"], cell.probabilities.argmax(axis=1)
        assert row["accuracy"] == pytest.approx(accuracy_score(targets, predicted), rel=1e-12)
        assert row["f1_macro"] == pytest.approx(
            f1_score(targets, predicted, average="macro", zero_division=0), rel=1e-12
        )


def test_f1_by_hand(tmp_path: Path, shards: Shards) -> None:
    """Targets 0 1 2 0 1 2 0; the first five right, then 2 -> 0 and 0 -> 1."""
    cell = made_up.write_cell(tmp_path / "own", shards, "none", 1, right=5)
    (row,) = checked.check([cell], shards).cells.to_dict("records")
    # class 0: precision 2/3, recall 2/3; class 1: 2/3, 1; class 2: 1, 1/2 -> F1 2/3, 4/5, 2/3.
    assert row["f1_macro"] == pytest.approx((2 / 3 + 4 / 5 + 2 / 3) / 3, rel=1e-12)


def test_curves_have_a_row_an_epoch(compared: CellTables, stored: list[StoredCell]) -> None:
    assert list(compared.curves)[:4] == ["norm", "fold", "seed", "epoch"]
    assert len(compared.curves) == 2 * len(stored)
    one = compared.curves[(compared.curves["norm"] == "global") & (compared.curves["fold"] == 2)]
    cell = next(cell for cell in stored if cell.metrics["norm"] == "global" and cell.metrics["fold"] == 2)
    assert list(one["train_loss"]) == list(cell.history["train_loss"])


def test_confusions_count_every_clip_of_every_fold(compared: CellTables, stored: list[StoredCell]) -> None:
    for norm, own in compared.confusion.groupby("norm", sort=False):
        cells = [cell for cell in stored if cell.metrics["norm"] == norm]
        targets = np.concatenate([cell.predictions["target"] for cell in cells])
        predicted = np.concatenate([cell.probabilities.argmax(axis=1) for cell in cells])
        table = own.pivot_table(index="actual", columns="predicted", values="clips").to_numpy()
        np.testing.assert_array_equal(table, confusion_matrix(targets, predicted))
        np.testing.assert_allclose(own.groupby("actual")["share"].sum(), 1.0, rtol=1e-12)


def test_of_very_many_classes_only_pairs_that_some_clip_is_in_are_told(
    stored: list[StoredCell], shards: Shards, compared: CellTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked, "TOLD", 2)
    few, every = checked.check(stored, shards).confusion, compared.confusion
    pd.testing.assert_frame_equal(few, every[every["clips"] > 0].reset_index(drop=True))
    assert len(few) < len(every)
    pd.testing.assert_frame_equal(most_confused(few), most_confused(every))


def test_seeds_are_counted_together_in_confusions(tmp_path: Path, shards: Shards) -> None:
    stored = [made_up.write_cell(tmp_path / "own", shards, "none", 1, seed, right=7) for seed in range(2)]
    assert checked.check(stored, shards).confusion["clips"].sum() == 14
