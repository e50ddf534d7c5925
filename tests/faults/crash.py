"""Stages that kill themselves at their n-th step, hundreds of them: forked, after the imports, from one process.

A step is a call that changes files: a flush, a rename, a removal, a row of a shard, a member of a zip. Each has two
points, right before and right after it. As a program (`python tests/faults/crash.py`) this file is the process that
forks: a line of JSON with a stage to run comes in, a line with how it ended goes out.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STAGES = ("source", "download", "spectrograms", "statistics", "normalizers")
STEPS = [
    ("os", "fsync"),
    ("os", "link"),
    ("pathlib.Path", "replace"),
    ("pathlib.Path", "unlink"),
    ("specnorm.shards.writer.ShardWriter", "append"),
    ("zipfile.ZipFile", "writestr"),
]
PACKING = ("zipfile._ZipWriteFile", "write")  # a chunk of a file that is packed; below ``writestr`` one too many
# What a stage needs only when it is at work: imported once, before the forks.
_AT_WORK = ("specnorm.datasets.synthetic", "pyarrow.parquet", "scipy.signal", "pandas.io.parquet")
_WRITERS = ("specnorm.files", "specnorm.shards.writer", "specnorm.datasets.synthetic", "specnorm.datasets.acquire")


@dataclass(frozen=True)
class Ended:
    """How one stage ended."""

    code: int  # its exit code, or minus the signal
    points: list[str]  # passed, in order: "replace before", "replace after", ...
    stderr: str


class Stages:
    """The process that forks, seen from a test."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, folder: Path, *command: str, **faults: Any) -> Ended:
        """Run one stage in ``folder``.

        Args:
            folder: the working directory, with a `params.yaml`.
            command: the stage's name and its arguments.
            faults: ``kill_at`` (the number of the point, from 0), ``signal`` (instead of SIGKILL), ``naive`` (write
                files in their place), ``limit_bytes`` (the largest file that can be written), ``packing`` (points at
                every chunk of a packed file), ``no_links`` (as between two disks).
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"folder": str(folder), "command": command, **faults}) + "\n")
        self._process.stdin.flush()
        code = json.loads(self._process.stdout.readline())["code"]
        points = (folder / "points.log").read_text().splitlines()
        return Ended(code, points, (folder / "stderr.log").read_text())


@contextmanager
def stages() -> Iterator[Stages]:
    """Start the process that forks; it ends with the block."""
    # A thread that lives before a fork is gone after it, with whatever lock it held: so none may start.
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {name: value for name, value in os.environ.items() if name != "DVC_ROOT"} | alone
    with subprocess.Popen(
        [sys.executable, __file__],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT), "ARROW_DEFAULT_MEMORY_POOL": "system"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Stages(process)
        finally:
            process.kill()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def wrong(out: Path, clean: dict[str, bytes], manifest: str | None) -> list[str]:
    """What a crash must not leave: a final name with other bytes than the clean run's, a manifest before its files."""
    left = {name: data for name, data in tree(out).items() if not _partial(name)}
    faults = [f"{name} is not a file of the clean run" for name in left.keys() - clean.keys()]
    faults += [f"{name} is half written" for name in left.keys() & clean.keys() if left[name] != clean[name]]
    if manifest in left:
        faults += [f"the manifest is there, {name} is not" for name in clean.keys() - left.keys()]
    return faults


def _partial(name: str) -> bool:
    base = name.rpartition("/")[2]
    return base.startswith(".") and base.endswith(".partial")


def reset(folder: Path, out: str) -> None:
    """Forget a stage's output and what it kept beside it."""
    for name in (out, ".cache"):
        shutil.rmtree(folder / name, ignore_errors=True)


# --- the process that forks


def _serve() -> None:
    modules = {name: importlib.import_module(f"stages.{name}") for name in STAGES}
    for name in _AT_WORK:
        importlib.import_module(name)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if not child:
            _child(modules[job["command"][0]].main, job)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


def _child(main: Callable[[list[str]], int], job: dict[str, Any]) -> None:
    code = 70  # of an exception that is no error of ours
    try:
        os.chdir(job["folder"])
        for descriptor, name in ((1, "stdout.log"), (2, "stderr.log")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), descriptor)
        log = os.open("points.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        if job.get("naive"):
            for name in _WRITERS:
                importlib.import_module(name).atomic_path = _in_place  # type: ignore[attr-defined]
        if job.get("no_links"):
            os.link = _no_link
        steps = [*STEPS, *([PACKING] if job.get("packing") else [])]
        _arm(log, steps, job.get("kill_at"), job.get("signal", signal.SIGKILL))
        if "limit_bytes" in job:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead
            resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit_bytes"], resource.RLIM_INFINITY))
        code = main(job["command"][1:])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _arm(log: int, steps: list[tuple[str, str]], kill_at: int | None, ending: int) -> None:
    passed = 0

    def point(name: str) -> None:
        nonlocal passed
        os.write(log, f"{name}\n".encode())
        passed += 1  # first: an interrupt comes back out of kill, and once is enough
        if passed - 1 == kill_at:
            os.kill(os.getpid(), ending)

    def copy_in_halves(source: Path, destination: Path) -> None:
        data = Path(source).read_bytes()
        with Path(destination).open("wb", buffering=0) as half:
            half.write(data[: len(data) // 2])
            point("copyfile half")
            half.write(data[len(data) // 2 :])

    shutil.copyfile = copy_in_halves  # type: ignore[assignment]
    for owner_name, name in steps:
        owner = _found(owner_name)
        setattr(owner, name, _with_points(getattr(owner, name), name, point))


def _found(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute) if module else importlib.import_module(name)


def _with_points(function: Callable[..., Any], name: str, point: Callable[[str], None]) -> Callable[..., Any]:
    def stepped(*args: Any, **kwargs: Any) -> Any:
        point(f"{name} before")
        result = function(*args, **kwargs)
        point(f"{name} after")
        return result

    return stepped


def _no_link(*_: object) -> None:
    raise OSError(18, "Invalid cross-device link")


@contextmanager
def _in_place(path: Path) -> Iterator[Path]:
    """What `files.atomic_path` must be better than."""
    path.parent.mkdir(parents=True, exist_ok=True)
    yield path
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


if __name__ == "__main__":
    _serve()
