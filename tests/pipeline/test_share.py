"""What a cell may take of its machine, as its environment says."""

from __future__ import annotations

import os
import sys

import pytest

from pipeline import share


def test_the_cores_are_those_that_this_process_may_use() -> None:
    assert 1 <= share.cores() <= (os.cpu_count() or 1)
    if sys.platform == "linux":
        assert share.cores() <= len(os.sched_getaffinity(0))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its cores")
def test_a_process_that_is_held_to_one_core_has_one() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert share.cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("outer", "threads"),
    [({}, 4), ({"OMP_NUM_THREADS": "1"}, 1), ({"OMP_NUM_THREADS": "64"}, 4), ({"OMP_NUM_THREADS": "many"}, 4)],
)
def test_a_smaller_number_of_threads_of_the_users_stays(outer: dict[str, str], threads: int) -> None:
    given = share.environment(4, 0.5, {"HOME": "/home/x", **outer})
    assert given == {"OMP_NUM_THREADS": str(threads), "SPECNORM_MEMORY_SHARE": "0.5"}
    assert (share.threads(given), share.memory(given), share.is_given(given)) == (threads, 0.5, True)


def test_a_process_that_nobody_shares_the_machine_with_has_all_of_it() -> None:
    assert (share.memory({}), share.is_given({})) == (1.0, False)
