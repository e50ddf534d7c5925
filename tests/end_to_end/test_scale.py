"""Cells in clones of their own, in sequence and on Ray with several raylets in one box, whoever is killed on the way.

The copy's training waits as long as a file says so, and leaves a mark of every process that has trained.
"""

from __future__ import annotations

import copy
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.scale import __main__ as scale
from pipeline.scale import collect, here, left, on_ray, plan
from pipeline.scale.attempt import Result
from pipeline.scale.executor import ExecutorParams
from pipeline.scale.plan import Plan
from specnorm.errors import ConfigurationError
from tests.end_to_end.project import REPOSITORY, Project

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

CELLS = ["train@none-1-0", "train@global-1-0"]
AFTER = "    started = time.perf_counter()\n"
WAIT = f"""{AFTER}
    marks = Path(os.environ["SPECNORM_TEST_MARKS"])
    (marks / f"{{norm}}-{{os.getpid()}}").touch()
    while (marks / "hold").exists():
        time.sleep(0.02)
    if (marks / f"{{norm}}-fails").exists():
        sys.exit(3)

"""


@dataclass
class Scaled:
    """A project whose cells are to be trained, and what their processes leave."""

    project: Project
    marks: Path

    def plan(self, remote: Path | None = None) -> Plan:
        return plan.make("train", remote=None if remote is None else str(remote), scratch=self.marks.parent / "scratch")

    @property
    def environment(self) -> dict[str, str]:
        return {"SPECNORM_TEST_MARKS": str(self.marks), "OMP_NUM_THREADS": "1"}

    def trained(self, mode: str = "*") -> list[int]:
        """The processes that have begun to train."""
        return [int(path.name.rpartition("-")[2]) for path in self.marks.glob(f"{mode}-[0-9]*")]


@pytest.fixture
def scaled(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scaled]:
    train, lock = project.root / "stages/train.py", project.root / "dvc.lock"
    before = {path: path.read_text() for path in (train, lock)}
    assert before[train].count(AFTER) == 1
    # Other code a test, or DVC's cache would have its cells.
    train.write_text(before[train].replace(AFTER, WAIT) + f"# {tmp_path.name}\n")
    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.chdir(project.root)
    for name in [name for name in os.environ if name.startswith("DVC_")]:
        monkeypatch.delenv(name)
    yield Scaled(project, marks)
    for path, text in before.items():
        path.write_text(text)
    project.dvc("checkout", "--force", "train")


def test_a_cell_here_is_accepted_by_dvc_and_no_branch_or_index_is_touched(scaled: Scaled, tmp_path: Path) -> None:
    seen = [scaled.project.run("git", *words.split()).output for words in ("branch -a", "status --short", "stash list")]
    planned = scaled.plan(tmp_path / "store")
    assert list(planned.work) == CELLS
    after = [
        scaled.project.run("git", *words.split()).output for words in ("branch -a", "status --short", "stash list")
    ]
    assert after == seen
    results = list(here.run(planned, scaled.environment, lambda *_: None))
    assert [(result.name, result.code) for result in results] == [(cell, 0) for cell in CELLS]
    found = collect.collect(planned, entries(results))
    assert (found.accepted, found.refused, found.missing) == (CELLS, {}, [])
    assert scaled.project.dvc("repro", "train").stages == set()
    assert len(scaled.trained()) == 2


def test_whoever_asked_is_gone_and_the_remote_alone_has_what_is_needed(scaled: Scaled, tmp_path: Path) -> None:
    planned = scaled.plan(tmp_path / "store")
    for _ in here.run(planned, scaled.environment, lambda *_: None):
        pass
    shutil.rmtree(planned.scratch)
    found = left.entries(planned)
    assert {name: len(each) for name, each in found.items()} == dict.fromkeys(CELLS, 1)
    # One of the outputs is gone; the other stage ran twice, and gave other bytes the second time.
    first, second = (found[cell][0]["outs"][0]["md5"] for cell in CELLS)
    gone = tmp_path / "store/files/md5" / first[:2] / first[2:]
    kept = gone.read_bytes()
    gone.chmod(0o644)
    gone.unlink()
    other = copy.deepcopy(found[CELLS[1]][0])
    other["outs"][0]["md5"] = f"{'0' * 32}.dir"
    collected = collect.collect(planned, {**found, CELLS[1]: [found[CELLS[1]][0], other]})
    assert collected.accepted == CELLS[1:] == collected.twice
    assert list(collected.refused) == CELLS[:1]
    assert second in (scaled.project.root / "dvc.lock").read_text()
    assert first not in (scaled.project.root / "dvc.lock").read_text()
    gone.write_bytes(kept)
    assert collect.collect(planned, left.entries(planned)).accepted == CELLS
    assert scaled.project.dvc("repro", "train").stages == set()


def test_what_was_planned_with_other_parameters_is_refused(scaled: Scaled) -> None:
    planned = scaled.plan()
    results = list(here.run(planned, scaled.environment, lambda *_: None))
    changed = entries(results)
    changed[CELLS[0]][0]["params"]["params.yaml"]["train.epochs"] = 99
    found = collect.collect(planned, changed)
    assert found.refused == {CELLS[0]: "other params than planned"}
    assert found.accepted == CELLS[1:]


@pytest.mark.parametrize("url", ["https://store.example/here", "http://store.example/here"])
def test_a_remote_without_a_run_cache_is_refused(scaled: Scaled, url: str) -> None:
    with pytest.raises(ConfigurationError, match="takes no run cache"):
        plan.make("train", remote=url, scratch=scaled.marks.parent / "scratch")


def test_a_stage_that_fails_is_not_tried_again_and_keeps_no_other(scaled: Scaled) -> None:
    (scaled.marks / "none-fails").touch()
    planned = scaled.plan()
    results = list(here.run(planned, scaled.environment, lambda *_: None))
    assert [result.code for result in results] == [3, 0]
    assert results[0].entry is None
    found = collect.collect(planned, entries(results))
    assert (found.accepted, found.missing) == (CELLS[1:], CELLS[:1])


@pytest.fixture
def cluster() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    small = {"object_store_memory": 80_000_000, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    try:
        for _ in range(2):
            made.add_node(num_cpus=1, object_store_memory=80_000_000)
        made.wait_for_nodes()
        ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


@pytest.mark.parametrize("victim", ["worker", "node"])
def test_what_is_killed_is_run_again_elsewhere(scaled: Scaled, cluster: Any, victim: str, tmp_path: Path) -> None:
    before = predictions(scaled)  # which DVC itself trained, one after another, with as many threads
    (scaled.marks / "hold").touch()
    planned = scaled.plan(tmp_path / "store")
    results: list[Result] = []
    running = threading.Thread(
        target=lambda: results.extend(on_ray.run(planned, scaled.environment, ExecutorParams(kind="ray")))
    )
    running.start()
    wait_until(lambda: len(scaled.trained()) == 2)
    process = psutil.Process(scaled.trained("none")[0])
    if victim == "worker":
        worker = next(parent for parent in process.parents() if parent.name().startswith("ray::"))
        worker.send_signal(signal.SIGKILL)
    else:
        raylet = next(parent for parent in process.parents() if parent.name() == "raylet")
        (node,) = (node for node in cluster.worker_nodes if raylet.pid in processes_of(node))
        cluster.remove_node(node, allow_graceful=False)
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    (scaled.marks / "hold").unlink()
    running.join(300)
    assert sorted((result.name, result.code) for result in results) == sorted((cell, 0) for cell in CELLS)
    assert len(scaled.trained()) == 3
    assert collect.collect(planned, entries(results)).accepted == CELLS
    assert scaled.project.dvc("repro", "train").stages == set()
    assert predictions(scaled) == before


def test_a_cluster_without_room_is_refused_at_once(scaled: Scaled, cluster: Any) -> None:
    with pytest.raises(ConfigurationError, match="no machine of the cluster has room"):
        list(on_ray.run(scaled.plan(), scaled.environment, ExecutorParams(kind="ray", gpus=3)))
    assert scaled.trained() == []


def test_one_command_does_all_and_has_nothing_to_do_the_second_time(scaled: Scaled, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    environment = {**scaled.project.environment, **scaled.environment, "RAY_AUTH_MODE": "disabled"}
    words = ["run", "train", "executor=ray", "executor.jobs=2", f"executor.remote={tmp_path / 'store'}"]
    first, second = (
        subprocess.run(
            [sys.executable, "-m", "pipeline.scale", *words],
            cwd=scaled.project.root,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    )
    assert "scale: cells to do: 2, threads of each: 1" in first
    assert "2 of 2" in first
    assert "Running stage 'train" not in first + second
    assert "cells to do" not in second
    assert len(scaled.trained()) == 2
    # Who has the lock file, the parameters and the remote has the table.
    clone = Project(tmp_path / "clone")
    scaled.project.run("git", "clone", "-q", str(scaled.project.root), str(clone.root))
    shutil.copy(scaled.project.root / "dvc.lock", clone.root)
    clone.dvc("remote", "add", "--default", "--local", "store", str(tmp_path / "store"))
    clone.dvc("pull", "compare")
    table = "data/comparison/table.md"
    assert (clone.root / table).read_bytes() == (scaled.project.root / table).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_outlives_the_command_and_it_goes_on_when_it_is_given_again(
    scaled: Scaled, number: signal.Signals
) -> None:
    pytest.importorskip("ray")
    (scaled.marks / "hold").touch()
    environment = {**scaled.project.environment, **scaled.environment, "RAY_AUTH_MODE": "disabled"}
    words = [sys.executable, "-m", "pipeline.scale", "run", "train", "executor=ray", "executor.jobs=2"]
    process = subprocess.Popen(words, cwd=scaled.project.root, env=environment, start_new_session=True)
    wait_until(lambda: len(scaled.trained()) == 2)
    process.send_signal(number)
    code = process.wait(60)
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    wait_until(lambda: not any(map(psutil.pid_exists, scaled.trained())), 30)
    (scaled.marks / "hold").unlink()
    # One by one, since what Ray itself leaves of a killed driver lives on for a minute.
    again = [*words[:5], "executor=local"]
    subprocess.run(again, cwd=scaled.project.root, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert len(scaled.trained()) == 4
    assert scaled.project.dvc("repro", "train").stages == set()
    assert not list((scaled.project.root / ".cache/scale").glob("cell-*"))


def test_a_scheduler_s_cells_are_collected(
    scaled: Scaled, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, place = tmp_path / "plan.json", f"executor.scratch={tmp_path / 'scratch'}"
    assert scale.main(["plan", "train", place, f"executor.remote={tmp_path / 'store'}", "-o", str(file)]) == 0
    assert "2 cells, 0 to 1" in capfd.readouterr().out
    (scaled.marks / "none-fails").touch()
    for name, value in scaled.environment.items():
        monkeypatch.setenv(name, value)
    # As Slurm starts a task of an array.
    tasks = [{"SLURM_ARRAY_TASK_ID": str(number), "SLURM_CPUS_PER_TASK": "1"} for number in range(2)]
    outer = {**scaled.project.environment, **scaled.environment}
    codes = [
        subprocess.run(["bash", REPOSITORY / "slurm/cell.sbatch", file], env={**outer, **task}, check=False).returncode
        for task in tasks
    ]
    assert codes == [3, 0]
    assert scale.main(["collect", str(file)]) == 1
    assert "1 collected, 1 missing" in capfd.readouterr().out
    (scaled.marks / "none-fails").unlink()
    assert scale.main(["cell", str(file), CELLS[0]]) == 0
    assert scale.main(["collect", str(file)]) == 0
    assert scaled.project.dvc("repro", "train").stages == set()
    assert scale.main(["cell", str(file), "2"]) == 2
    assert "no such cell" in capfd.readouterr().err


def predictions(scaled: Scaled) -> list[bytes]:
    return [
        (scaled.project.root / f"data/cells/{mode}/fold-1/seed-0/predictions.parquet").read_bytes()
        for mode in ("none", "global")
    ]


def entries(results: list[Result]) -> dict[str, list[dict[str, Any]]]:
    return {result.name: [result.entry] for result in results if result.entry is not None}


def processes_of(node: Any) -> list[int]:
    return [info.process.pid for infos in node.all_processes.values() for info in infos]


def wait_until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
