"""Statistics of several processes, as under DistributedDataParallel: real ones, over gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from specnorm.errors import ConfigurationError
from specnorm.statistics.recorder import Statistics
from tests.statistics.ranks import CASES, seen

RANKS = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left, each of which went through every case."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.statistics.ranks"]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    started = [
        subprocess.Popen(
            [*command, str(rank), str(RANKS), str(folder)], env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in range(RANKS)
    ]
    try:
        for process in started:
            _, complaint = process.communicate(timeout=300)
            assert process.returncode == 0, complaint
    finally:
        for process in started:
            process.kill()
            process.wait()
    return folder


def told(folder: Path, case: str) -> list[Any]:
    return [json.loads((folder / f"{rank}.json").read_text())[case] for rank in range(RANKS)]


@pytest.mark.parametrize("case", ["all", "first saw nothing", "last saw nothing"])
def test_every_rank_has_the_same_bits_and_they_are_those_of_a_merge_in_order(folder: Path, case: str) -> None:
    expected = reduce(Statistics.merge, [CASES[case](rank) for rank in range(RANKS)])
    expected.save(folder / "expected.json")
    for rank in range(RANKS):
        assert (folder / f"{case} {rank}.json").read_bytes() == (folder / "expected.json").read_bytes()
    assert told(folder, case) == [repr(expected)] * RANKS


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        ("other axes", "DataError: other reduced axes in rank 1"),
        ("other bins", "DataError: other sizes of the kept axes in rank 1"),
        ("other floor", "DataError: another floor_db in rank 1"),
    ],
)
def test_ranks_that_disagree_are_told_on_every_rank(folder: Path, case: str, complaint: str) -> None:
    # Guards: a rank that raises alone leaves the others waiting.
    one, other = told(folder, case)
    assert one == other
    assert one.startswith(complaint)


def test_a_group_of_some_ranks(folder: Path) -> None:
    inside, outside = told(folder, "a group of its own")
    assert inside == repr(seen(0))
    assert outside == "ConfigurationError: this process is not in the group in all_reduce"


def test_without_a_process_group() -> None:
    with pytest.raises(ConfigurationError, match=r"no process group in all_reduce.*init_process_group first"):
        seen(0).all_reduce()


def test_what_statistics_alone_need_is_light(folder: Path) -> None:
    assert told(folder, "imported") == [[], []]
