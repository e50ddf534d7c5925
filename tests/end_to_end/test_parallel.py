"""Two cells at a time: killed, run again, compared with one after another, and one that fails."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from pipeline import machine
from specnorm import files
from tests.end_to_end.project import TINY_RUN, Project, Ran, copy_of_repository

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(len(machine.cores_of_this_process()) < 2, reason="one core has no use for two jobs"),
]

CELLS = {"train@none-1-0", "train@global-1-0"}
COMMAND = [sys.executable, "-m", "pipeline.parallel", "--jobs", "2", *TINY_RUN]
# Goes into the copy's training: a cell waits until as many cells are under way as the test wants.
AFTER = "    started = time.perf_counter()\n"
MEET = f"""{AFTER}
    here = places.cache() / f"here-{{norm}}"
    here.touch()
    while len(list(here.parent.glob("here-*"))) < int((here.parent / "wanted").read_text()):
        time.sleep(0.02)

"""


@dataclass(frozen=True)
class Parallel:
    """A project whose cells wait for each other, what was left of its first run, and its second run."""

    project: Project
    killed: int
    alive: list[str]
    found: list[Path]
    second: Ran


def want(project: Project, cells: int) -> Path:
    """Let that many cells wait for each other from now on."""
    cache = project.root / ".cache"
    cache.mkdir(exist_ok=True)
    (cache / "wanted").write_text(str(cells))
    for old in cache.glob("here-*"):
        old.unlink()
    return cache


def processes_in(folder: Path) -> list[str]:
    """Command lines of the processes whose working directory is the folder."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if process.info["cwd"] == str(folder):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


@pytest.fixture(scope="module")
def parallel(tmp_path_factory: pytest.TempPathFactory) -> Parallel:
    project = copy_of_repository(tmp_path_factory.mktemp("parallel") / "two at a time", threads=1)
    train = project.root / "stages/train.py"
    assert train.read_text().count(AFTER) == 1
    train.write_text(train.read_text().replace(AFTER, MEET))

    cache = want(project, 3)  # which are never there
    process = subprocess.Popen(COMMAND, cwd=project.root, env=project.environment, stdout=subprocess.DEVNULL)
    while len(list(cache.glob("here-*"))) < 2 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    killed = process.wait(60)
    alive, found = processes_in(project.root), list((project.root / "data/cells").rglob("metrics.json"))

    want(project, 2)
    return Parallel(project, killed, alive, found, project.run(*COMMAND))


def test_a_signal_ends_all_cells_under_way(parallel: Parallel) -> None:
    assert parallel.killed == 128 + signal.SIGTERM
    assert parallel.alive == []
    assert parallel.found == []


def test_the_same_command_then_trains_two_cells_at_a_time(parallel: Parallel) -> None:
    lines = parallel.second.output.splitlines()
    assert "parallel: cells to do: 2, at a time: 2, threads of each: 1" in lines
    for cell in CELLS:
        assert any(line.startswith(cell) and "| epoch 1/1 " in line for line in lines)
    assert any(line.startswith("parallel: 2 trained, in ") for line in lines)
    assert parallel.second.stages == {"compare", "track"}  # what DVC itself ran: nothing before, no cell after
    assert "Ran experiment(s)" in parallel.second.output


def test_nothing_is_left_for_dvc(parallel: Parallel) -> None:
    ran = parallel.project.dvc("repro")
    assert ran.stages == set()
    assert "up to date" in ran.output
    assert json.loads(parallel.project.dvc("status", "--json").output) == {}
    assert len(parallel.project.dvc("exp", "list", "--name-only").output.split()) == 1


def test_the_results_are_those_of_one_cell_after_another(parallel: Parallel, project: Project) -> None:
    project.dvc("exp", "run", *TINY_RUN)
    for mode in ("none", "global"):
        for name in ("model.safetensors", "predictions.parquet", "metrics.json"):
            place = f"data/cells/{mode}/fold-1/seed-0/{name}"
            assert (parallel.project.root / place).read_bytes() == (project.root / place).read_bytes(), place


def test_a_cell_that_fails_gives_its_code_and_its_line_last(parallel: Parallel) -> None:
    want(parallel.project, 1)
    with files.exclusive(parallel.project.root / ".cache/locks/data-cells-none-fold-1-seed-0.lock"):
        done = subprocess.run(
            [*COMMAND, "-S", "train.epochs=2"],
            cwd=parallel.project.root,
            env=parallel.project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert done.returncode == 5
    last = done.stdout.splitlines()[-1]
    assert last.startswith("parallel: train@none-1-0 failed with exit code 5: train: another process is doing the same")
    assert "epoch 2/2" in done.stdout  # the other cell
    assert Ran(done.stdout).stages == set()
    left = json.loads(parallel.project.dvc("status", "--json", "train").output)
    assert set(left) == {"train@none-1-0"}
