"""How a machine is split among workers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import machine
from pipeline.machine import Core, Share
from specnorm.errors import ConfigurationError

PLAIN = [Core(number, number) for number in range(8)]
# Two hardware threads a core, numbered as Linux does: 0 and 4 share one.
THREADED = [Core(number, number % 4) for number in range(8)]


def cores_of(shares: list[Share]) -> list[tuple[int, ...]]:
    return [share.cores for share in shares]


@pytest.mark.parametrize("jobs", range(1, 9))
def test_every_core_has_one_worker_and_all_workers_have_as_many_threads(jobs: int) -> None:
    shares = machine.shares(jobs, PLAIN)
    assert sorted(sum(cores_of(shares), ())) == list(range(8))
    assert {share.threads for share in shares} == {8 // jobs}
    assert all(len(share.cores) >= share.threads for share in shares)


def test_hardware_threads_of_a_core_stay_together() -> None:
    assert cores_of(machine.shares(2, THREADED)) == [(0, 4, 1, 5), (2, 6, 3, 7)]
    assert [share.threads for share in machine.shares(2, THREADED)] == [2, 2]
    assert [share.threads for share in machine.shares(8, THREADED)] == [1] * 8


def test_only_the_cores_of_this_process_are_split() -> None:
    assert cores_of(machine.shares(2, [Core(3, 3), Core(6, 6)])) == [(3,), (6,)]


@pytest.mark.parametrize("jobs", [-1, 0, 9])
def test_a_cpu_has_no_use_for_more_jobs_than_cores(jobs: int) -> None:
    with pytest.raises(ConfigurationError, match=f"in --jobs: expected 1 to 8, .*, got {jobs}"):
        machine.shares(jobs, PLAIN)


def test_jobs_on_a_gpu_may_share_cores() -> None:
    assert cores_of(machine.shares(3, PLAIN[:2], ["0"])) == [(0,), (1,), (0,)]
    with pytest.raises(ConfigurationError, match="expected at least 1, got 0"):
        machine.shares(0, PLAIN, ["0"])


@pytest.mark.parametrize(
    ("gpus", "taken"),
    [
        ([], [None] * 4),
        (["0"], [None] * 4),  # it is the one that torch takes by itself
        (["0", "1"], ["0", "1", "0", "1"]),
        (["5", "GPU-8a", "2"], ["5", "GPU-8a", "2", "5"]),
    ],
)
def test_workers_take_the_gpus_in_turn(gpus: list[str], taken: list[str | None]) -> None:
    assert [share.gpu for share in machine.shares(4, PLAIN, gpus)] == taken


@pytest.mark.parametrize(
    ("value", "names"),
    [("", []), ("-1", []), ("0,-1,1", ["0"]), ("1", ["1"]), ("3, 1", ["3", "1"]), ("0,,1", ["0"])],
)
def test_the_users_choice_of_gpus_is_kept(value: str, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert machine.visible_gpus() == names


def test_gpus_are_counted_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.visible_gpus() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\necho '  MIG 1g (UUID: MIG-1)'\necho 'GPU 1: A'\n")
    tool.chmod(0o755)
    assert machine.visible_gpus() == ["0", "1"]
    tool.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    assert machine.visible_gpus() == []


@pytest.mark.parametrize(
    ("outer", "threads"), [({}, "4"), ({"OMP_NUM_THREADS": "1"}, "1"), ({"OMP_NUM_THREADS": "64"}, "4")]
)
def test_the_environment_gives_threads_and_leaves_the_rest(outer: dict[str, str], threads: str) -> None:
    outer |= {"HOME": "/home/x", "CUDA_VISIBLE_DEVICES": "0,1"}
    assert machine.environment(Share((0, 1, 2, 3), 4, None, 0.5), outer) == outer | {
        "OMP_NUM_THREADS": threads,
        "SPECNORM_MEMORY_SHARE": "0.5",
    }
    assert machine.environment(Share((0,), 4, "1", 1.0), outer)["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its cores")
def test_processes_started_in_the_block_keep_to_the_cores_and_this_one_does_not() -> None:
    before = os.sched_getaffinity(0)
    one = min(before)
    with machine.pinned((one,)):
        process = subprocess.Popen(
            [sys.executable, "-c", "import os; input(); print(os.sched_getaffinity(0))"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    assert os.sched_getaffinity(0) == before
    assert process.communicate("go on\n")[0].strip() == str({one})


def test_the_cores_are_those_that_this_process_may_use() -> None:
    cores = machine.cores_of_this_process()
    assert cores
    if sys.platform == "linux":
        assert {core.number for core in cores} == os.sched_getaffinity(0)


@pytest.mark.parametrize(
    ("jobs", "gpus", "share"),
    [(1, [], 1.0), (4, [], 0.25), (4, ["0"], 0.25), (4, ["0", "1"], 0.5), (3, ["0", "1"], 0.5)],
)
def test_workers_on_one_device_share_its_memory(jobs: int, gpus: list[str], share: float) -> None:
    """With three workers on two GPUs, one GPU has two of them, and which is not theirs to know."""
    cores = [machine.Core(number, number) for number in range(4)]
    plan = machine.shares(jobs, cores, gpus)
    assert [each.memory for each in plan] == [share] * jobs
    assert machine.memory_share(machine.environment(plan[0], {})) == share
    assert machine.memory_share({}) == 1.0
