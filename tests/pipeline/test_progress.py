"""What is told of the training: which cell of how many, what is left, and the accuracies that there are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline import finished, places, progress
from specnorm import params
from specnorm.files import read_sealed, write_sealed
from specnorm.params import Params
from specnorm.shards.store import Shards
from specnorm.training.key import CellKey
from tests import made_up
from tests.builders import edit

KEY = CellKey("global", 2, 0)
SECONDS = 60.0  # of every made-up cell, beside which this process's own start is nothing


@pytest.fixture
def asked(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A finished workspace's parameters: 4 modes, 3 folds, cells of a minute."""
    monkeypatch.delenv("SPECNORM_MEMORY_SHARE", raising=False)
    monkeypatch.setattr(progress, "_startup_s", lambda: 0.0)
    for path in places.CELLS.rglob("run.json"):
        edit(path, lambda run: run.update(total_seconds=SECONDS))
    return params.load(Path("params.yaml"))


@pytest.fixture
def shards(asked: Params) -> Shards:
    return finished.shards(asked)


def begun(asked: Params, shards: Shards, capsys: pytest.CaptureFixture[str], key: CellKey = KEY) -> str:
    """The line that a cell begins with; DVC has removed its outputs before."""
    shutil.rmtree(places.cell_folder(key), ignore_errors=True)
    capsys.readouterr()
    progress.begin(asked, key, "a reason", of=shards)
    first, second = capsys.readouterr().out.splitlines()
    assert second == "a reason"
    return first


def test_the_line_counts_what_is_finished_and_reckons_with_its_seconds(
    asked: Params, shards: Shards, capsys: pytest.CaptureFixture[str]
) -> None:
    for fold in (1, 3):
        shutil.rmtree(places.cell_folder(CellKey("channel", fold, 0)))
    # Nine are there. The line is made of files, so it is the same after a restart.
    for _ in range(2):
        assert begun(asked, shards, capsys) == "cell 10 of 12 (global, fold 2, seed 0), about 3 min left"


def test_the_first_cell_has_nothing_to_reckon_with(
    asked: Params, shards: Shards, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(places.CELLS)
    line = begun(asked, shards, capsys)
    assert line == "cell 1 of 12 (global, fold 2, seed 0), how long the others take is known after it"


@pytest.mark.parametrize(
    "sections",
    [{"train": {"epochs": 99}}, {"model": {"stem_init": "he"}}, {"spectrogram": {"top_db": 80.0}}],
    ids=str,
)
def test_cells_of_other_parameters_do_not_count(
    asked: Params, shards: Shards, capsys: pytest.CaptureFixture[str], sections: dict[str, dict[str, object]]
) -> None:
    made_up.change_params(Path(), **sections)
    changed = params.load(Path("params.yaml"))
    assert begun(changed, shards, capsys).startswith("cell 1 of 12 ")
    assert progress.table(changed, progress._belonging(changed, of=shards)).count(".") == 4 * 4


def test_cells_of_other_clips_other_modes_and_damaged_ones_do_not_count(
    asked: Params, shards: Shards, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up.write_cell(places.CELLS, shards, "none", 1, dataset="others")
    made_up.write_cell(places.CELLS, shards, "of_before", 1)
    (places.cell_folder(CellKey("none", 2, 0)) / "metrics.json").write_text("{")
    (places.cell_folder(CellKey("none", 3, 0)) / "run.json").unlink()
    places.normalizer_path("channel", 1).unlink()
    bad = places.cell_folder(CellKey("channel", 2, 0)) / "run.json"
    run = read_sealed(bad, format=1)
    del run["total_seconds"]
    write_sealed(bad, run)
    assert begun(asked, shards, capsys) == "cell 7 of 12 (global, fold 2, seed 0), about 6 min left"


def test_a_cell_ends_with_its_place_among_the_others(
    asked: Params, shards: Shards, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(places.CELLS / "waveform/fold-3")
    capsys.readouterr()
    progress.end(asked, of=shards)
    table = capsys.readouterr().out.splitlines()
    accuracy = read_sealed(places.cell_folder(KEY) / "metrics.json", format=1)["accuracy"]
    words = [line.replace("fold ", "fold-").split() for line in table]
    assert words[0] == ["accuracy", "(%)", "fold-1", "fold-2", "fold-3", "mean"]
    assert [line[0] for line in words[1:]] == list(made_up.MODES)
    assert words[2][-2:] == [".", "."]  # waveform lacks a fold, and so its mean
    assert words[3][2] == f"{100 * accuracy:.1f}"
    assert len({len(line) for line in table}) == 1


def test_several_seeds_are_a_mean_with_their_number_until_all_are_there(asked: Params) -> None:
    protocol = asked.protocol.model_copy(update={"folds": [1, 2], "seeds": [0, 7]})
    two = asked.model_copy(update={"norm": {"none": asked.norm["none"]}, "protocol": protocol})
    scores = {CellKey("none", 1, 0): 0.5, CellKey("none", 1, 7): 0.6, CellKey("none", 2, 7): 0.25}
    done = {key: progress.Done(accuracy, 1.0) for key, accuracy in scores.items()}
    assert progress.table(two, done).splitlines() == [
        "accuracy (%)  fold 1         fold 2  mean",
        "none            55.0  25.0 (1 of 2)     .",
    ]
    done[CellKey("none", 2, 0)] = progress.Done(0.35, 1.0)
    assert progress.table(two, done).splitlines()[1].split() == ["none", "55.0", "30.0", "42.5"]


@pytest.mark.parametrize(
    ("precision", "told"),
    [("bf16", " in fp32, before in bf16 (the tables' number)  "), ("fp32", " (the tables' number)  ")],
)
def test_the_last_epochs_line_says_that_its_accuracy_is_the_tables(
    precision: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = progress.epochs(2, precision)
    for epoch in (1, 2):
        report({"epoch": epoch, "learning_rate": 1e-3, "train_loss": 2, "valid_loss": 3, "valid_accuracy": 0.25})
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch 1/2  loss 2.000  held-out loss 3.000  accuracy 0.250  ")
    assert last.startswith(f"epoch 2/2  loss 2.000  held-out loss 3.000  accuracy 0.250{told}")


def test_one_of_several_workers_leaves_the_count_and_the_table_to_their_starter(
    asked: Params, shards: Shards, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECNORM_MEMORY_SHARE", "0.5")
    capsys.readouterr()
    progress.begin(asked, KEY, "a reason", of=shards)
    progress.end(asked, of=shards)
    assert capsys.readouterr().out == "a reason\n"
