"""What of its machine a cell may take when others are trained beside it, as the executor tells it by environment.

Processes that train compete badly: two OpenMP threads beside another busy process gave a hundredth of their speed. So
the cores are divided, a thread a physical core.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import psutil

_MEMORY, _THREADS = "SPECNORM_MEMORY_SHARE", "OMP_NUM_THREADS"


def cores() -> int:
    """The physical cores that this process may use, as far as they can be told."""
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(usable, psutil.cpu_count(logical=False) or usable)


def environment(threads: int, memory: float, outer: Mapping[str, str]) -> dict[str, str]:
    """What a cell's processes get beside their environment.

    Args:
        threads: of the cell; a smaller number of the user's own stays. Results depend on it in their last bits.
        memory: the part of its device's memory that it may reckon with.
        outer: this process's environment.
    """
    asked = outer.get(_THREADS, "")
    threads = min(threads, int(asked)) if asked.isdecimal() and int(asked) else threads
    return {_THREADS: str(threads), _MEMORY: str(memory)}


def threads(environment: Mapping[str, str]) -> int:
    """The threads that an environment gives."""
    return int(environment[_THREADS])


def memory(environment: Mapping[str, str]) -> float:
    """The part of its device's memory that a process may reckon with; 1 for one that no executor has started."""
    return float(environment.get(_MEMORY, 1))


def is_given(environment: Mapping[str, str]) -> bool:
    """Whether an executor has started a process, which then tells of it."""
    return _MEMORY in environment
