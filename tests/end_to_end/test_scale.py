"""Cells in clones of their own, one by one and on several raylets in one box, whoever is killed on the way."""

from __future__ import annotations

import copy
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from dvc.exceptions import UploadError

from pipeline.scale import __main__ as scale
from pipeline.scale import cell, collect, here, left, on_ray, plan
from pipeline.scale.attempt import Result
from pipeline.scale.executor import ExecutorParams
from pipeline.scale.plan import Plan
from specnorm.errors import ConfigurationError, ResourceError
from tests.end_to_end import cluster as clusters
from tests.end_to_end.cluster import Cluster
from tests.end_to_end.held import VARIABLE, Marks, wait_until
from tests.end_to_end.project import REPOSITORY, Project

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

CELLS = ["train@none-1-0", "train@global-1-0"]


@dataclass
class Scaled:
    """A project whose cells are to be trained, and what their processes leave."""

    project: Project
    marks: Marks

    def plan(self, remote: Path | None = None) -> Plan:
        return plan.make(
            "train", remote=None if remote is None else str(remote), scratch=self.marks.folder.parent / "scratch"
        )

    def here(self, planned: Plan, say: Callable[[str, str], None] = lambda *_: None) -> list[Result]:
        """Run it one cell after another."""
        return list(here.run(planned, self.environment, lambda _: None, say))

    def on_ray(self, remote: Path, names: Sequence[str] = CELLS) -> tuple[Plan, Future[list[Result]]]:
        """Have it run in the background on the cluster that this process is a driver of."""
        planned = self.plan(remote).only(names)
        pool = ThreadPoolExecutor(1)
        return planned, pool.submit(lambda: list(on_ray.run(planned, self.environment, ExecutorParams(kind="ray"))))

    @property
    def environment(self) -> dict[str, str]:
        return {VARIABLE: str(self.marks.folder), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def scaled(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scaled]:
    before = {path: path.read_text() for path in (project.root / "stages/train.py", project.root / "dvc.lock")}
    marks = Marks(tmp_path / "marks")
    marks.put_into(project)
    monkeypatch.chdir(project.root)
    for name in [name for name in os.environ if name.startswith("DVC_")]:
        monkeypatch.delenv(name)
    yield Scaled(project, marks)
    for path, text in before.items():
        path.write_text(text)
    project.dvc("checkout", "--force", "train")


def test_cells_are_planned_beside_git_and_collected_from_whoever_has_them(scaled: Scaled, tmp_path: Path) -> None:
    seen = [scaled.project.run("git", *words.split()).output for words in ("branch -a", "status --short", "stash list")]
    planned = scaled.plan(tmp_path / "store")
    assert list(planned.work) == CELLS
    # DVC writes the whole lock file for every stage that it runs: a clone has what stands above the cells alone.
    lock = scaled.project.run("git", "show", f"{planned.commit}:dvc.lock").output
    names = {name.partition("@")[0] for name in yaml.safe_load(lock)["stages"]}
    assert {"spectrograms", "normalizers"} < names
    assert "train" not in names
    after = [
        scaled.project.run("git", *words.split()).output for words in ("branch -a", "status --short", "stash list")
    ]
    assert after == seen
    results = scaled.here(planned)
    assert [(result.name, result.code) for result in results] == [(cell, 0) for cell in CELLS]
    # What was planned with other parameters is refused, and is no part of the lock file.
    other = copy.deepcopy(entries(results))
    other[CELLS[0]][0]["params"]["params.yaml"]["train.epochs"] = 99
    found = collect.collect(planned, other)
    assert (found.accepted, found.refused) == (CELLS[1:], {CELLS[0]: "other params than planned"})

    # Whoever asked is gone, and the remote alone has what is needed. One of the outputs is gone from it; the other
    # stage ran twice, and gave other bytes the second time.
    shutil.rmtree(planned.scratch)
    there = left.entries(planned)
    assert there == entries(results)
    first, second = (there[cell][0]["outs"][0]["md5"] for cell in CELLS)
    gone = tmp_path / "store/files/md5" / first[:2] / first[2:]
    kept = gone.read_bytes()
    gone.chmod(0o644)
    gone.unlink()
    again = copy.deepcopy(there[CELLS[1]][0])
    again["outs"][0]["md5"] = f"{'0' * 32}.dir"
    found = collect.collect(planned, {**there, CELLS[1]: [there[CELLS[1]][0], again]})
    assert found.accepted == CELLS[1:] == found.twice
    assert list(found.refused) == CELLS[:1]
    assert second in (scaled.project.root / "dvc.lock").read_text()
    assert first not in (scaled.project.root / "dvc.lock").read_text()

    gone.write_bytes(kept)
    found = collect.collect(planned, left.entries(planned))
    assert (found.accepted, found.refused, found.missing) == (CELLS, {}, [])
    assert scaled.project.dvc("repro", "train").stages == set()
    assert len(scaled.marks.trained()) == 2


@pytest.mark.parametrize("url", ["https://store.example/here", "http://store.example/here"])
def test_a_remote_without_a_run_cache_is_refused(scaled: Scaled, url: str) -> None:
    with pytest.raises(ConfigurationError, match="takes no run cache"):
        plan.make("train", remote=url, scratch=scaled.marks.folder.parent / "scratch")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("ray")
    with clusters.started() as made:
        yield made


def test_a_worker_and_a_machine_are_killed_and_the_predictions_are_those_of_the_sequence(
    scaled: Scaled, cluster: Cluster, tmp_path: Path
) -> None:
    before = predictions(scaled)  # which DVC itself trained, one after another, with as many threads
    for _ in range(3):
        cluster.add()
    scaled.marks.hold()
    planned, running = scaled.on_ray(tmp_path / "store")
    wait_until(lambda: len(scaled.marks.trained()) == 2)
    victims = [psutil.Process(scaled.marks.trained(mode)[0]) for mode in ("none", "global")]
    next(parent for parent in victims[0].parents() if parent.name().startswith("ray::")).kill()
    cluster.lose(next(parent for parent in victims[1].parents() if parent.name() == "raylet").pid)
    wait_until(lambda: not any(map(alive, victims)))
    scaled.marks.release()
    results = running.result(300)
    assert sorted((result.name, result.code) for result in results) == sorted((cell, 0) for cell in CELLS)
    assert len(scaled.marks.trained()) == 4
    assert collect.collect(planned, entries(results)).accepted == CELLS
    assert scaled.project.dvc("repro", "train").stages == set()
    assert predictions(scaled) == before


def test_a_machine_that_falls_silent_is_given_up_and_what_it_did_is_done_elsewhere(
    scaled: Scaled, tmp_path: Path
) -> None:
    """It lives on and cannot be heard, so the network says nothing of its end."""
    pytest.importorskip("ray")
    if not clusters.can_be_cut():
        pytest.skip("only root may cut a network")
    scaled.marks.hold()
    scratch = tmp_path / "scratch"  # where plans have theirs
    scratch.mkdir()
    with clusters.apart(scratch) as cluster:
        planned, running = scaled.on_ray(tmp_path / "store", CELLS[:1])
        wait_until(lambda: len(scaled.marks.trained()) == 1)
        silent = psutil.Process(scaled.marks.trained()[0])
        clusters.cut()
        cluster.add()
        wait_until(lambda: len(scaled.marks.trained()) == 2)
        scaled.marks.release()
        assert [result.code for result in running.result(120)] == [0]
    assert list(left.entries(planned)) == CELLS[:1]
    wait_until(lambda: not alive(silent))


def test_a_cluster_without_room_is_refused_and_with_it_each_cell_has_a_gpu(scaled: Scaled, cluster: Cluster) -> None:
    cluster.add()
    for amount in ({"gpus": 1}, {"cpus": 9}, {"memory_gb": 1e6}):
        with pytest.raises(ConfigurationError, match="no machine of the cluster has room"):
            list(on_ray.run(scaled.plan(), scaled.environment, ExecutorParams(kind="ray", **amount)))
    assert scaled.marks.trained() == []
    cluster.add(cpus=2, gpus=2)
    results = on_ray.run(scaled.plan(), scaled.environment, ExecutorParams(kind="ray", gpus=1))
    assert [result.code for result in results] == [0, 0]
    assert scaled.marks.gpus() == ["0", "1"]


def test_a_remote_that_is_away_for_a_moment_costs_no_training(scaled: Scaled, tmp_path: Path) -> None:
    remote, away = tmp_path / "store", tmp_path / "away"
    planned = scaled.plan(remote).only(CELLS[:1])
    lines = []

    def say(_: str, line: str) -> None:
        lines.append(line)
        if line.startswith("Running stage"):
            remote.rename(away)
            remote.touch()  # so that no folder can be made of that name
        if line.startswith("cell: the remote takes no result, and is asked again: "):
            remote.unlink()
            away.rename(remote)

    (result,) = scaled.here(planned, say)
    assert result.code == 0
    assert sum(line.startswith("cell: the remote takes no result") for line in lines) == 1
    assert list(left.entries(planned)) == CELLS[:1]
    # A second attempt on the same machine, as after a remote that stayed away, hands over what is there.
    assert [again.code for again in scaled.here(planned)] == [0]
    assert len(scaled.marks.trained()) == 1


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), UploadError(1)], ids=str)
def test_a_remote_that_is_full_or_stays_away_is_told_at_last(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cell, "_PUSHES", (0.0, 0.0, 0.0))
    asked = []

    def push() -> None:
        asked.append(1)
        raise error

    with pytest.raises(ResourceError, match="the remote takes no result"):
        cell._patiently(push)
    assert len(asked) == 3
    assert capfd.readouterr().err.count("is asked again") == 2


def test_nothing_outlives_the_command_and_it_goes_on_when_it_is_given_again(scaled: Scaled) -> None:
    pytest.importorskip("ray")
    environment = {**scaled.project.environment, **scaled.environment, "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-m", "pipeline.scale", "run", "train"]
    scaled.marks.hold()
    for begun, number in ((2, signal.SIGTERM), (4, signal.SIGKILL)):
        words = [*command, "executor=ray", "executor.jobs=2"]
        process = subprocess.Popen(words, cwd=scaled.project.root, env=environment, start_new_session=True)
        wait_until(lambda begun=begun: len(scaled.marks.trained()) == begun)  # type: ignore[misc]
        process.send_signal(number)
        assert process.wait(60) == (-number if number == signal.SIGKILL else 128 + number)
        wait_until(lambda: not any(map(psutil.pid_exists, scaled.marks.trained())), 30)
    scaled.marks.release()
    # One by one, since what Ray itself leaves of a killed driver lives on for a minute.
    subprocess.run(command, cwd=scaled.project.root, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert len(scaled.marks.trained()) == 6
    assert scaled.project.dvc("repro", "train").stages == set()
    assert not list((scaled.project.root / ".cache/scale").glob("cell-*"))


def test_a_scheduler_s_cells_are_collected(
    scaled: Scaled, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, place = tmp_path / "plan.json", f"executor.scratch={tmp_path / 'scratch'}"
    assert scale.main(["plan", "train", place, f"executor.remote={tmp_path / 'store'}", "-o", str(file)]) == 0
    assert "2 cells, 0 to 1" in capfd.readouterr().out
    scaled.marks.fail("none")
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
    scaled.marks.fail("none", fails=False)
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


def alive(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
