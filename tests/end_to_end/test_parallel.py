"""Two cells at a time: killed, run again, compared with one after another, and one that fails.

All of it on what is another user's machine to the run that it is compared with, in a folder whose name is no ASCII.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
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


def started(project: Project, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, cwd=project.root, env=project.environment, umask=project.umask, stdout=subprocess.DEVNULL
    )


def wait_until(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait as long as the process lives, and not a second longer than for anything else here."""
    while not true() and process.poll() is None:
        time.sleep(0.05)


def processes_in(folder: Path) -> list[str]:
    """Command lines of the processes whose working directory is the folder."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if process.info["cwd"] == str(folder):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


@pytest.fixture(scope="module")
def parallel(tmp_path_factory: pytest.TempPathFactory) -> Parallel:
    place = tmp_path_factory.mktemp("parallel") / "two at a time, für 犬"
    project = copy_of_repository(place, threads=1, elsewhere=True)
    train = project.root / "stages/train.py"
    assert train.read_text().count(AFTER) == 1
    train.write_text(train.read_text().replace(AFTER, MEET))

    cache = want(project, 3)  # which are never there
    process = started(project, *COMMAND)
    wait_until(lambda: len(list(cache.glob("here-*"))) == 2, process)
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


@pytest.mark.case("V10")
def test_nothing_is_left_for_dvc_from_whatever_folder_it_is_asked(parallel: Parallel, tmp_path: Path) -> None:
    ran = parallel.project.run("dvc", "--cd", str(parallel.project.root), "repro", cwd=tmp_path)
    assert ran.stages == {"track"}  # which finds its mark
    assert "MLflow experiment specnorm: all there before" in ran.output
    assert set(json.loads(parallel.project.dvc("status", "--json").output)) == {"source", "track"}  # never skipped
    assert len(parallel.project.dvc("exp", "list", "--name-only").output.split()) == 1


# What tells of a time or of a place, and the digests of that.
MEASURED = {"run.json", "cells.csv", "table.md", "time.svg", "time-narrow.svg", "report.html", "manifest.json"}


@pytest.mark.case("V10", "X1")
def test_the_results_are_those_of_one_cell_after_another_on_another_machine(
    parallel: Parallel, project: Project
) -> None:
    """Every file but for seconds: neither the language nor the time zone, the folder or the rights are in any."""
    project.dvc("exp", "run", *TINY_RUN)
    here, there = (root / "data" for root in (project.root, parallel.project.root))
    names = [path.relative_to(here) for path in here.rglob("*") if path.is_file()]
    assert len(names) > 40
    for name in names:
        if name.parts[:1] == ("spectrograms",) or name.name not in MEASURED:
            assert (there / name).read_bytes() == (here / name).read_bytes(), name
    assert {path.relative_to(there) for path in there.rglob("*") if path.is_file()} == set(names)
    assert not (there / "raw/clips.csv").resolve().stat().st_mode & 0o077


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


@pytest.mark.case("V7", "V8")
def test_a_cell_under_way_is_left_alone_by_a_second_dvc_and_by_the_one_after_a_kill(parallel: Parallel) -> None:
    """The first is told so by DVC; once that is killed, the cell that it left at work holds the lock by itself."""
    project, cell = parallel.project, "train@none-1-0"
    once = [sys.executable, "-m", "dvc", "repro", "--force", "--single-item", cell]
    cache = want(project, 3)  # which are never there
    first = started(project, *once)
    wait_until(lambda: (cache / "here-none").exists(), first)
    second = project.run(*once, fails=True)
    assert re.search(rf"is busy, it is being blocked by:.*PID {first.pid}\b", second.output, re.DOTALL), second.output
    assert second.stages == set()

    (orphan,) = [child for child in psutil.Process(first.pid).children(recursive=True) if not child.children()]
    first.kill()
    first.wait()
    third = project.run(*once, fails=True)
    assert "another process is doing the same work in data-cells-none-fold-1-seed-0" in third.output
    assert f"got a lock held by process {orphan.pid}" in third.output
    assert "exited with 5" in third.output

    want(project, 0)
    orphan.wait(60)
    assert project.run(*once).stages == {cell}
    assert json.loads(project.dvc("status", "--json", cell).output) == {}
