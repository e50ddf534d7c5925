"""The tables say what the cells' predictions say, by hand and by scikit-learn."""

from __future__ import annotations

import io
import json
import math
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from specnorm import comparison
from specnorm.cells import StoredCell
from specnorm.comparison import Comparison
from specnorm.shards import Shards
from stages import compare
from tests import made_up


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return made_up.write_shards(tmp_path / "data/spectrograms")


@pytest.fixture
def stored(tmp_path: Path, shards: Shards) -> list[StoredCell]:
    return made_up.write_cells(tmp_path / "data/cells", shards)


@pytest.fixture
def compared(stored: list[StoredCell], shards: Shards) -> Comparison:
    return comparison.compare(stored, shards)


def test_a_row_a_cell_in_the_given_order(compared: Comparison) -> None:
    places = list(zip(compared.cells["norm"], compared.cells["fold"], compared.cells["seed"], strict=True))
    assert places == [(norm, fold, 0) for norm in made_up.MODES for fold in made_up.FOLDS]
    assert list(compared.summary["norm"]) == list(made_up.MODES)
    assert list(compared.summary["cells"]) == [3, 3, 3, 3]


def test_accuracy_by_hand(compared: Comparison) -> None:
    # write_cells: (2 * fold + 3 * mode) % 7 of the 7 clips are right.
    by_mode = {norm: list(group["accuracy"] * 7) for norm, group in compared.cells.groupby("norm", sort=False)}
    assert by_mode["none"] == pytest.approx([2, 4, 6], rel=1e-12)  # float64 rounding of sevenths
    assert by_mode["waveform"] == pytest.approx([5, 0, 2], rel=1e-12)
    none, waveform = compared.summary.to_dict("records")[:2]
    assert none["accuracy_mean"] == pytest.approx(4 / 7, rel=1e-12)
    assert none["accuracy_sd"] == pytest.approx(2 / 7, rel=1e-12)  # squares 4 + 0 + 4 over n - 1 = 2
    assert waveform["accuracy_mean"] == pytest.approx(1 / 3, rel=1e-12)
    assert waveform["accuracy_sd"] == pytest.approx(statistics.stdev([5, 0, 2]) / 7, rel=1e-12)


def test_accuracy_and_f1_are_scikit_learns(compared: Comparison, stored: list[StoredCell]) -> None:
    for row, cell in zip(compared.cells.to_dict("records"), stored, strict=True):
        targets, predicted = cell.predictions["target"], cell.probabilities.argmax(axis=1)
        assert row["accuracy"] == pytest.approx(accuracy_score(targets, predicted), rel=1e-12)
        assert row["f1_macro"] == pytest.approx(
            f1_score(targets, predicted, average="macro", zero_division=0), rel=1e-12
        )


def test_f1_by_hand(tmp_path: Path, shards: Shards) -> None:
    """Targets 0 1 2 0 1 2 0; the first five right, then 2 -> 0 and 0 -> 1."""
    cell = made_up.write_cell(tmp_path / "own", shards, "none", 1, right=5)
    (row,) = comparison.compare([cell], shards).cells.to_dict("records")
    # class 0: precision 2/3, recall 2/3; class 1: 2/3, 1; class 2: 1, 1/2 -> F1 2/3, 4/5, 2/3.
    assert row["f1_macro"] == pytest.approx((2 / 3 + 4 / 5 + 2 / 3) / 3, rel=1e-12)


def test_f1_is_over_the_classes_that_the_fold_has(tmp_path: Path) -> None:
    """A class that the fold lacks has no F1: counting it as 0 would punish whoever predicts it."""
    shards = made_up.write_shards(tmp_path / "shards")
    clips = shards.clips.copy()
    clips.loc[(clips["fold"] == 1) & (clips["target"] == 2), ["target", "label"]] = [0, "cat"]
    lacking = Shards(shards.folder, shards.manifest, clips)
    cell = made_up.write_cell(tmp_path / "cells", lacking, "none", 1, right=7)
    assert comparison.compare([cell], lacking).cells["f1_macro"].tolist() == [1.0]


def test_one_cell_has_no_deviation(tmp_path: Path, shards: Shards) -> None:
    cell = made_up.write_cell(tmp_path / "own", shards, "none", 1)
    compared = comparison.compare([cell], shards)
    assert math.isnan(compared.summary["accuracy_sd"][0])
    assert compared.summary.to_csv(index=False).splitlines()[1].split(",")[3] == ""
    assert "nan" not in comparison.markdown(compared, title="One").lower()
    assert "accuracy_sd" not in comparison.flat(compared)["none"]


def test_seeds_count_as_cells(tmp_path: Path, shards: Shards) -> None:
    stored = [made_up.write_cell(tmp_path / "own", shards, "none", 1, seed, right=seed) for seed in range(5)]
    (row,) = comparison.compare(stored, shards).summary.to_dict("records")
    assert row["cells"] == 5
    assert row["accuracy_sd"] == pytest.approx(math.sqrt(2.5) / 7, rel=1e-12)  # 0..4: variance 10 / 4


def test_curves_have_a_row_an_epoch(compared: Comparison, stored: list[StoredCell]) -> None:
    assert list(compared.curves)[:4] == ["norm", "fold", "seed", "epoch"]
    assert len(compared.curves) == 2 * len(stored)
    one = compared.curves[(compared.curves["norm"] == "global") & (compared.curves["fold"] == 2)]
    cell = next(cell for cell in stored if cell.metrics["norm"] == "global" and cell.metrics["fold"] == 2)
    assert list(one["train_loss"]) == list(cell.history["train_loss"])


def test_flat_is_small_and_holds_numbers_only(compared: Comparison) -> None:
    flat = comparison.flat(compared)
    assert list(flat) == list(made_up.MODES)
    assert all(set(values) == {"accuracy_mean", "accuracy_sd", "f1_macro_mean"} for values in flat.values())
    assert len(json.dumps(flat, allow_nan=False)) < 500
    assert flat["none"]["accuracy_mean"] == 0.571429


def test_markdown_is_two_whole_tables(compared: Comparison) -> None:
    text = comparison.markdown(compared, title="A title")
    assert text.startswith("# A title\n")
    assert text.endswith("|\n")
    for section, frame in (("Modes", compared.summary), ("Cells", compared.cells)):
        lines = text.partition(f"## {section}\n\n")[2].partition("\n\n")[0].strip().splitlines()
        assert len(lines) == 2 + len(frame)
        assert [name.strip() for name in lines[0].strip("|").split("|")] == list(frame)
        assert {line.count("|") for line in lines} == {len(frame.columns) + 1}
    assert "| none     |       3 |" in text
    assert "0.5714" in text


# The stage


@pytest.fixture
def workspace(tmp_path: Path, stored: list[StoredCell], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    made_up.write_params(tmp_path / "params.yaml")
    return tmp_path


def test_the_stage_writes_tables_metrics_and_a_picture(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main([]) == 0
    folder = workspace / "data/comparison"
    expected = {"cells.csv", "summary.csv", "curves.csv", "table.md", "summary.json", "accuracy.png"}
    assert {path.name for path in folder.iterdir()} == expected
    cells = pd.read_csv(io.BytesIO((folder / "cells.csv").read_bytes()))
    assert len(cells) == 12
    assert not cells.isna().any(axis=None)
    assert b"\r" not in (folder / "cells.csv").read_bytes()
    summary = pd.read_csv(folder / "summary.csv")
    means = json.loads((folder / "summary.json").read_text())
    np.testing.assert_allclose(
        summary["accuracy_mean"], [means[norm]["accuracy_mean"] for norm in summary["norm"]], rtol=0, atol=5e-7
    )  # six decimals
    assert (folder / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "21 clips, 3 classes, held-out folds [1, 2, 3], seeds [0]" in printed
    assert "## Cells" not in printed
    assert "channel" in printed


def test_the_same_cells_give_the_same_bytes(workspace: Path) -> None:
    compare.main([])
    first = {path.name: path.read_bytes() for path in (workspace / "data/comparison").iterdir()}
    compare.main([])
    assert {path.name: path.read_bytes() for path in (workspace / "data/comparison").iterdir()} == first


def test_only_the_named_modes_folds_and_seeds_are_in_the_table(workspace: Path, shards: Shards) -> None:
    """A stale cell of an earlier experiment may lie there; even one of other data does no harm."""
    made_up.write_cell(workspace / "data/cells", shards, "left_over", 1, dataset="others")
    made_up.write_cell(workspace / "data/cells", shards, "none", 1, 9)

    def fewer(values: dict) -> None:  # type: ignore[type-arg]
        values["norm"] = {name: values["norm"][name] for name in ("global", "none")}
        values["protocol"]["folds"] = [3, 1]

    made_up.write_params(workspace / "params.yaml", fewer)
    assert compare.main([]) == 0
    cells = pd.read_csv(workspace / "data/comparison/cells.csv")
    places = list(zip(cells["norm"], cells["fold"], cells["seed"], strict=True))
    assert places == [("global", 3, 0), ("global", 1, 0), ("none", 3, 0), ("none", 1, 0)]
