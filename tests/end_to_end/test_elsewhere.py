"""Two cells at a time by one command, on what is another user's machine, in a folder whose name is no ASCII."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from pipeline import share
from tests.end_to_end.held import VARIABLE, Marks, wait_until
from tests.end_to_end.project import TINY_RUN, Project, Ran, copy_of_repository

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.timeout(600),
    pytest.mark.skipif(share.cores() < 2, reason="one core has no use for two jobs"),
]

CELLS = {"train@none-1-0", "train@global-1-0"}
# What tells of a time or of a place, and the digests of that.
MEASURED = {"run.json", "cells.csv", "table.md", "time.svg", "time-narrow.svg", "report.html", "manifest.json"}


@dataclass(frozen=True)
class Elsewhere:
    """A project that the command has run in."""

    project: Project
    marks: Marks
    remote: Path
    command: list[str]
    ran: Ran


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    pytest.importorskip("ray")
    place = tmp_path_factory.mktemp("elsewhere")
    project = copy_of_repository(place / "two at a time, für 犬", threads=1, elsewhere=True)
    marks, remote = Marks(place / "marks"), place / "store"
    marks.put_into(project)
    command = [sys.executable, "-m", "pipeline.scale", "run", "train", "executor=ray", "executor.jobs=2"]
    command += [f"executor.remote={remote}", *TINY_RUN]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(marks.folder))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        yield Elsewhere(project, marks, remote, command, project.run(*command))


def test_the_cells_are_trained_by_the_command_and_nothing_else_by_it(elsewhere: Elsewhere) -> None:
    lines = elsewhere.ran.output.splitlines()
    assert "scale: cells to do: 2, threads of each: 1" in lines
    ends = [line for line in lines if "| done after " in line]
    assert {line.split()[0] for line in ends} == CELLS
    assert ", 2 of 2" in ends[1]
    table = lines[lines.index(ends[1]) + 1 :][:3]  # which has filled from the results
    assert [row.split()[0] for row in table] == ["accuracy", "none", "global"]
    assert all(re.fullmatch(r"\d+\.\d", row.split()[1]) for row in table[1:])
    assert not elsewhere.ran.stages & CELLS
    assert {"compare", "track"} <= elsewhere.ran.stages
    assert "Ran experiment(s)" in elsewhere.ran.output
    assert len(elsewhere.marks.trained()) == 2


@pytest.mark.case("V10")
def test_nothing_is_left_for_dvc_from_whatever_folder_it_is_asked(elsewhere: Elsewhere, tmp_path: Path) -> None:
    project = elsewhere.project
    ran = project.run("dvc", "--cd", str(project.root), "repro", cwd=tmp_path)
    assert ran.stages == {"track"}  # which finds its mark
    assert "MLflow experiment specnorm: all there before" in ran.output
    assert set(json.loads(project.dvc("status", "--json").output)) == {"source", "track"}  # never skipped
    assert len(project.dvc("exp", "list", "--name-only").output.split()) == 1


@pytest.mark.case("V10", "X1")
def test_the_results_are_those_of_one_cell_after_another_on_another_machine(
    elsewhere: Elsewhere, project: Project
) -> None:
    """Every file but for seconds: neither the language nor the time zone, the folder or the rights are in any."""
    project.dvc("exp", "run", *TINY_RUN)
    here, there = (root / "data" for root in (project.root, elsewhere.project.root))
    names = [path.relative_to(here) for path in here.rglob("*") if path.is_file()]
    assert len(names) > 40
    for name in names:
        if name.parts[:1] == ("spectrograms",) or name.name not in MEASURED:
            assert (there / name).read_bytes() == (here / name).read_bytes(), name
    assert {path.relative_to(there) for path in there.rglob("*") if path.is_file()} == set(names)
    assert not (there / "raw/clips.csv").resolve().stat().st_mode & 0o077


def test_who_has_the_lock_file_and_the_remote_has_the_table(elsewhere: Elsewhere, tmp_path: Path) -> None:
    clone = Project(tmp_path / "clone")
    elsewhere.project.run("git", "clone", "-q", str(elsewhere.project.root), str(clone.root))
    shutil.copy(elsewhere.project.root / "dvc.lock", clone.root)
    clone.dvc("remote", "add", "--default", "--local", "store", str(elsewhere.remote))
    clone.dvc("pull", "compare")
    table = "data/comparison/table.md"
    assert (clone.root / table).read_bytes() == (elsewhere.project.root / table).read_bytes()


def test_a_cell_that_fails_gives_its_code_and_its_line_last(elsewhere: Elsewhere) -> None:
    project, marks = elsewhere.project, elsewhere.marks
    begun = len(marks.trained("none"))
    marks.fail("none")
    done = subprocess.run(
        [*elsewhere.command, "-S", "train.epochs=2"],
        cwd=project.root,
        env=project.environment,
        umask=project.umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "scale: train@none-1-0 failed with exit code 3: train: told to fail"
    assert "train@none-1-0   | train: told to fail" in done.stdout.splitlines()
    assert "compare" not in Ran(done.stdout).stages
    assert len(marks.trained("none")) == begun + 1  # the same code fails the same way, so it is not tried again
    # The other one is collected, and when the fault is mended it alone is left.
    assert set(json.loads(project.dvc("status", "--json", "train").output)) == {"train@none-1-0"}
    marks.fail("none", fails=False)
    begun = len(marks.trained())
    project.run(*elsewhere.command, "-S", "train.epochs=2")
    assert len(marks.trained()) == begun + 1


@pytest.mark.case("V7", "V8")
def test_a_cell_under_way_is_left_alone_by_a_second_dvc_and_by_the_one_after_a_kill(elsewhere: Elsewhere) -> None:
    """The first is told so by DVC; once that is killed, the cell that it left at work holds the lock by itself."""
    project, marks, cell = elsewhere.project, elsewhere.marks, "train@none-1-0"
    once = [sys.executable, "-m", "dvc", "repro", "--force", "--single-item", cell]
    begun = len(marks.trained())
    marks.hold()
    first = subprocess.Popen(
        once, cwd=project.root, env=project.environment, umask=project.umask, stdout=subprocess.DEVNULL
    )
    wait_until(lambda: len(marks.trained()) > begun)
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

    marks.release()
    orphan.wait(60)
    assert project.run(*once).stages == {cell}
    assert json.loads(project.dvc("status", "--json", cell).output) == {}
