"""Work in parallel, results in order, and never far ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from specnorm.errors import DataError
from specnorm.shards.prefetch import in_order


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_the_results_stand_in_the_order_of_the_items(pool: ThreadPoolExecutor) -> None:
    later = {n: threading.Event() for n in range(20)}

    def work(item: int) -> int:
        # Each even item ends after the odd one behind it.
        if item % 2 == 0:
            assert later[item + 1].wait(60)
        later[item].set()
        return item * item

    assert list(in_order(pool, work, list(range(20)), ahead=4)) == [n * n for n in range(20)]


@pytest.mark.parametrize("ahead", [1, 3, 50])
def test_never_more_than_so_many_are_begun_and_not_taken(pool: ThreadPoolExecutor, ahead: int) -> None:
    begun: list[int] = []

    class Counting:
        def submit(self, work: Any, item: int) -> Any:
            begun.append(item)
            return pool.submit(work, item)

    for taken, result in enumerate(in_order(Counting(), str, list(range(20)), ahead=ahead)):  # type: ignore[arg-type]
        assert result == str(taken)
        assert len(begun) == min(taken + ahead, 20)
    assert begun == list(range(20))


@pytest.mark.parametrize("items", [[], [1], [1, 2, 3]])
def test_few_items(pool: ThreadPoolExecutor, items: list[int]) -> None:
    assert list(in_order(pool, str, items, ahead=4)) == [str(item) for item in items]


def test_an_error_comes_in_its_place_and_what_waits_is_cancelled() -> None:
    started: list[int] = []
    release = threading.Event()

    def work(item: int) -> int:
        started.append(item)
        if item == 2:
            raise DataError("bad clip")
        if item == 3:
            assert release.wait(60)
        return item

    with ThreadPoolExecutor(1) as pool:
        results = in_order(pool, work, list(range(20)), ahead=8)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(DataError, match="bad clip"):
            next(results)
        release.set()
    assert set(started) <= {0, 1, 2, 3}


def test_a_consumer_that_stops_cancels_what_waits() -> None:
    started: list[int] = []
    release = threading.Event()

    def work(item: int) -> int:
        started.append(item)
        if item:
            assert release.wait(60)
        return item

    with ThreadPoolExecutor(1) as pool:
        results = in_order(pool, work, list(range(20)), ahead=8)
        assert next(results) == 0
        results.close()  # type: ignore[attr-defined]
        release.set()
    assert set(started) <= {0, 1}
