"""The training stage goes on where it was stopped, and only there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pipeline import progress
from specnorm.training import loop
from stages import download, normalizers, source, spectrograms, statistics, train
from tests import made_up
from tests.builders import tree
from tests.training import small

ROOT = Path(__file__).parents[2]
CELL = ["--norm", "channel", "--fold", "1", "--seed", "0"]
FOLDER = Path("data/cells/channel/fold-1/seed-0")
EPOCHS = 3

pytestmark = pytest.mark.usefixtures("one_thread")


def write(**sections: dict[str, Any]) -> None:
    """The committed parameters, made small, with changes."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["dataset"] = {
        "kind": "synthetic",
        "name": None,
        "sources": 1,
        "clips": 1,
        "folds": 2,
        "sample_rate": 8000,
        "clip_seconds": 0.25,
        "seed": 0,
    }
    values["spectrogram"] |= {
        "sample_rate": 8000,
        "clip_seconds": 0.25,
        "n_fft": 64,
        "win_length": 64,
        "hop_length": 64,
    }
    values["protocol"] = {"folds": [1, 2], "seeds": [0]}
    values["train"] |= {"epochs": EPOCHS, "batch_size": 4, "device": "cpu", "precision": "fp32"}
    for section, changes in sections.items():
        values[section] |= changes
    Path("params.yaml").write_text(yaml.safe_dump(values))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the stage reads."""
    folder = tmp_path_factory.mktemp("workspace")
    with made_up.working_in(folder):
        write()
        preparing = ((source, []), (download, []), (spectrograms, []), (statistics, []), (normalizers, CELL[:2]))
        for stage, arguments in preparing:
            assert stage.main(arguments) == 0
    return folder


@pytest.fixture
def place(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    (tmp_path / "data").mkdir()
    for path in (workspace / "data").iterdir():
        (tmp_path / "data" / path.name).symlink_to(path)
    monkeypatch.setattr("specnorm.training.model.xresnet18", small.small_network)
    monkeypatch.setattr(train, "_CHECKPOINT_SECONDS", 0.0)
    write()
    return tmp_path


def epochs_run() -> int:
    """Run the cell to its end; returns how many epochs that took."""
    assert train.main(CELL) == 0
    return int(json.loads((FOLDER / "run.json").read_text())["epochs_run"])


def stop_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt the cell right after an epoch; DVC has removed its outputs before."""
    shutil.rmtree(FOLDER, ignore_errors=True)

    def stopping(*_: object) -> Callable[[loop.EpochRow], None]:
        def line(row: loop.EpochRow) -> None:
            if row["epoch"] == epoch:
                raise KeyboardInterrupt

        return line

    with monkeypatch.context() as patch:
        patch.setattr(progress, "epochs", stopping)
        assert train.main(CELL) == 130
    assert not (FOLDER / "metrics.json").exists()


def checkpoints() -> list[Path]:
    return [path for path in Path(".cache/checkpoints").rglob("*") if path.is_file()]


@pytest.mark.case("T1")
def test_it_goes_on_and_ends_with_the_same_bytes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert epochs_run() == EPOCHS
    clean = tree(FOLDER)
    for path in FOLDER.iterdir():
        path.unlink()
    stop_after(1, monkeypatch)
    assert len(checkpoints()) == 1
    assert epochs_run() == EPOCHS - 1
    resumed = tree(FOLDER)
    assert clean.keys() == resumed.keys()
    assert [name for name in clean if clean[name] != resumed[name]] == ["run.json"]
    assert checkpoints() == []


# The cell in a process of its own, which is at work when it has said so.
AT_WORK = """
    import signal, sys
    import torch
    torch.set_num_threads(1)
    from pipeline import progress
    from specnorm.training import model
    from stages import train
    from tests.training import small

    def waiting(count, precision):
        def line(row):
            print("epoch", int(row["epoch"]), flush=True)
            signal.pause()
        return line

    model.xresnet18 = small.small_network
    train._CHECKPOINT_SECONDS = 0.0
    progress.epochs = waiting
    sys.exit(train.main(sys.argv[1:]))
"""


@pytest.mark.case("T10")
def test_a_scheduler_s_sigterm_costs_no_more_than_an_epoch(place: Path) -> None:
    """A real process and a real signal: it ends with 143 in one line, and the next run ends with the same bytes."""
    assert epochs_run() == EPOCHS
    clean = tree(FOLDER)
    shutil.rmtree(FOLDER)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(AT_WORK), *CELL],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "epoch 1\n" in iter(process.stdout.readline, "")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
    assert (process.returncode, err) == (143, "train: terminated\n")
    assert not FOLDER.exists() or not list(FOLDER.iterdir())
    assert len(checkpoints()) == 1
    assert epochs_run() == EPOCHS - 1
    resumed = tree(FOLDER)
    assert [name for name in clean if clean[name] != resumed[name]] == ["run.json"]


@pytest.mark.case("T3")
@pytest.mark.parametrize(
    "sections",
    [
        {"train": {"learning_rate": 2e-3}},
        {"train": {"weight_decay": 0.02}},
        {"train": {"batch_size": 5}},
        {"train": {"epochs": EPOCHS + 1}},
        {"model": {"stem_init": "he"}},
    ],
    ids=str,
)
def test_another_parameter_starts_over(
    place: Path, monkeypatch: pytest.MonkeyPatch, sections: dict[str, dict[str, Any]]
) -> None:
    stop_after(2, monkeypatch)
    write(**sections)
    assert epochs_run() == sections.get("train", {}).get("epochs", EPOCHS)


def test_other_code_or_another_number_of_threads_starts_over(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(2, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(train, "_code", lambda: "edited")
        assert epochs_run() == EPOCHS
    stop_after(2, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: 2)
        assert epochs_run() == EPOCHS


def test_where_the_clips_lie_changes_nothing_and_so_it_goes_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(2, monkeypatch)
    write(train={"memory_gb": 1e-6})
    assert epochs_run() == EPOCHS - 2
    assert json.loads((FOLDER / "run.json").read_text())["clips"] == "streamed"


def test_back_at_the_first_parameters_the_first_state_is_still_there(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(2, monkeypatch)
    write(train={"learning_rate": 2e-3})
    stop_after(1, monkeypatch)
    assert len(checkpoints()) == 2
    write()
    assert epochs_run() == EPOCHS - 2


def test_a_done_cell_clears_what_older_runs_of_it_left(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(2, monkeypatch)
    (stored,) = checkpoints()
    left = stored.with_name(f".{stored.name}.17.partial")
    left.write_bytes(b"half")
    other = stored.parents[1] / "seed-1" / "state.safetensors"
    other.parent.mkdir()
    other.write_bytes(b"another cell's")
    write(train={"learning_rate": 2e-3})
    assert epochs_run() == EPOCHS
    assert checkpoints() == [other]


def test_the_workers_share_of_the_memory_is_told_to_the_training(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cells that start together must not each take half of what is free."""
    seen: list[float] = []
    whole = loop.train

    def spy(*arguments: Any, memory_share: float, **options: Any) -> loop.Result:
        seen.append(memory_share)
        return whole(*arguments, memory_share=memory_share, **options)

    monkeypatch.setattr(loop, "train", spy)
    assert train.main(CELL) == 0
    monkeypatch.setenv("SPECNORM_MEMORY_SHARE", "0.25")
    assert train.main(CELL) == 0
    assert seen == [1.0, 0.25]
