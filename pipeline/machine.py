"""What of this machine each of several workers gets: cores of its own, threads, a GPU.

Processes that train compete badly: two OpenMP threads beside another busy process gave a hundredth of their speed. So
the cores are split, and what a worker starts keeps to its part.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from specnorm.errors import ConfigurationError

_MEMORY = "SPECNORM_MEMORY_SHARE"


@dataclass(frozen=True)
class Core:
    """A logical core, and the lowest-numbered one of those that share its hardware."""

    number: int
    physical: int


@dataclass(frozen=True)
class Share:
    """What one worker has of the machine; only Linux can hold processes to their cores."""

    cores: tuple[int, ...]
    threads: int
    gpu: str | None
    memory: float  # part of the memory of its device


def cores_of_this_process() -> list[Core]:
    """The cores that this process may run on."""
    if sys.platform == "linux":
        return [Core(number, _physical(number)) for number in sorted(os.sched_getaffinity(0))]
    return [Core(number, number) for number in range(os.cpu_count() or 1)]


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that a process started here would see, as ``CUDA_VISIBLE_DEVICES`` names them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [name.strip() for name in chosen.split(",")]
        # As CUDA does, stop at the first that is none.
        return list(itertools.takewhile(lambda name: name and not name.startswith("-"), names))
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    # Asking torch would cost seconds, and memory on every GPU.
    listed = subprocess.run(  # noqa: S603 (the tool, and a constant)
        [tool, "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
    )
    return [str(index) for index in range(sum(line.startswith("GPU ") for line in listed.stdout.splitlines()))]


def shares(jobs: int, cores: Sequence[Core], gpus: Sequence[str] = ()) -> list[Share]:
    """Split a machine among ``jobs`` workers.

    Hardware threads of one core stay together as far as the numbers allow. Every worker has as many threads, a thread
    a physical core as torch itself counts them, because the last bits of a result depend on their number and are not
    to depend on the worker that a cell falls to. Workers take several GPUs in turn, and share a single one.

    Args:
        jobs: how many workers.
        cores: the cores to split.
        gpus: the GPUs to use, by the names that ``CUDA_VISIBLE_DEVICES`` takes.

    Raises:
        ConfigurationError: ``jobs`` is not positive, or without a GPU more than the cores.
    """
    if jobs < 1 or (jobs > len(cores) and not gpus):
        raise ConfigurationError(
            "impossible number of jobs",
            where="--jobs",
            expected="at least 1" if gpus else f"1 to {len(cores)}, the cores that this process may use",
            got=jobs,
            hint=None if gpus else "On a CPU more jobs than cores only slow each other down",
        )
    numbers = [core.number for core in sorted(cores, key=lambda core: (core.physical, core.number))]
    if jobs <= len(numbers):
        parts = [numbers[len(numbers) * k // jobs : len(numbers) * (k + 1) // jobs] for k in range(jobs)]
    else:
        parts = [[numbers[k % len(numbers)]] for k in range(jobs)]
    threads = max(1, len({core.physical for core in cores}) // jobs)
    taken = [gpus[k % len(gpus)] if len(gpus) > 1 else None for k in range(jobs)]
    memory = 1 / -(-jobs // max(1, len(gpus)))  # of the GPU with the most workers, or of the machine
    return [Share(tuple(part), threads, gpu, memory) for part, gpu in zip(parts, taken, strict=True)]


def environment(share: Share, outer: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker's processes; a smaller ``OMP_NUM_THREADS`` of the user's stays."""
    asked = outer.get("OMP_NUM_THREADS", "")
    threads = min(share.threads, int(asked)) if asked.isdecimal() and int(asked) else share.threads
    gpu = {} if share.gpu is None else {"CUDA_VISIBLE_DEVICES": share.gpu}
    return {**outer, "OMP_NUM_THREADS": str(threads), _MEMORY: str(share.memory), **gpu}


def memory_share(environment: Mapping[str, str]) -> float:
    """The part of its device's memory that a process of a worker may reckon with; 1 for any other process."""
    return float(environment.get(_MEMORY, 1))


def is_worker(environment: Mapping[str, str]) -> bool:
    """Whether a process is one of several that were started together."""
    return _MEMORY in environment


@contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """Let the processes that are started in the block inherit an affinity, which they then keep."""
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _physical(number: int) -> int:
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list").read_text(encoding="ascii")
        return int(text.replace("-", ",").split(",")[0])
    except (OSError, ValueError):
        return number
