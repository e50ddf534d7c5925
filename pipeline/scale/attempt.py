"""An attempt at a stage: a clone and a process group of its own, of which nothing is left after it.

It needs nothing but Python's own modules and git, so that it can be sent to a machine that has no clone of the project:
the plan's bundle has the code, and the machine the packages.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULT = "specnorm-cell "  # before the line of JSON that a cell ends with

_GRACE_S = 10.0  # from the interrupt that lets a stage end by itself to the kill
_PREFIX = "cell-"
_TAIL = 5  # lines of a failed stage that are told


@dataclass(frozen=True)
class Result:
    """What became of a stage.

    Attributes:
        name: the stage's.
        code: its exit code; 0 where it went well.
        seconds: from the clone to what was handed over.
        node: where it ran.
        entry: its entry of the lock file; ``None`` where it failed.
        accuracy: of a cell that was trained.
        tail: the last lines of one that failed.
    """

    name: str
    code: int
    seconds: float
    node: str
    entry: dict[str, Any] | None
    accuracy: float | None
    tail: list[str]


def run(
    plan: Mapping[str, Any],
    name: str,
    bundle: bytes,
    environment: Mapping[str, str],
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Run one stage of a plan and wait for it.

    Args:
        plan: as :class:`pipeline.scale.plan.Plan` is written.
        name: the stage's.
        bundle: git's, with the plan's commit.
        environment: what its processes get beside this one's environment.
        say: is told each line that it prints.
    """
    started, scratch = time.monotonic(), Path(plan["scratch"])
    scratch.mkdir(parents=True, exist_ok=True)
    _sweep(scratch)
    lines: list[str] = []
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=scratch, ignore_cleanup_errors=True) as folder:
        (Path(folder) / "pid").write_text(str(os.getpid()), encoding="ascii")
        code = _cloned(plan, bundle, Path(folder), lines)
        if code == 0:
            process = _started(Path(folder), name, environment)
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    if line.startswith(RESULT):
                        told = json.loads(line.removeprefix(RESULT))
                    else:
                        lines.append(line.rstrip("\r\n"))
                        say(lines[-1])
                process.wait()
            finally:
                end(process)
            code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    seconds, node = time.monotonic() - started, platform.node()
    if code == 0 and told:
        return Result(name, 0, seconds, node, told["entry"], told["accuracy"], [])
    return Result(name, code or 1, seconds, node, None, None, [line for line in lines if line.strip()][-_TAIL:])


def end(process: subprocess.Popen[Any]) -> None:
    """End what is left of a process that is the first of its group, and of the group."""
    deadline = time.monotonic() + _GRACE_S
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS calls that a lack of permission
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _sweep(scratch: Path) -> None:
    """Remove the clones of attempts that are no more: whoever kills a worker leaves them."""
    for folder in scratch.glob(f"{_PREFIX}*"):
        with suppress(OSError, ValueError):
            if not _alive(int((folder / "pid").read_text(encoding="ascii"))):
                shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _cloned(plan: Mapping[str, Any], bundle: bytes, folder: Path, lines: list[str]) -> int:
    """Make the clone; git's exit code, and what it says of a failure."""
    (folder / "code.bundle").write_bytes(bundle)
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    clone = str(folder / "clone")
    for words in (
        ("init", "--quiet", clone),
        ("-C", clone, "fetch", "--quiet", str(folder / "code.bundle"), f"refs/plan/{plan['commit']}"),
        ("-C", clone, "checkout", "--quiet", plan["commit"]),
    ):
        done = subprocess.run(  # noqa: S603 (a list of words)
            ["git", *words],  # noqa: S607 (whichever git the machine has)
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            lines += done.stdout.splitlines()
            return done.returncode
    return 0


def _started(folder: Path, name: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])  # this `python`
    return subprocess.Popen(  # noqa: S603 (a list of words)
        [sys.executable, "-m", "pipeline.scale.cell", str(folder / "plan.json"), name],
        cwd=folder / "clone",
        stdin=subprocess.PIPE,  # whose end tells it that this process is no more
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment, "PATH": programs, "DVC_NO_ANALYTICS": "1"},
        start_new_session=True,
        text=True,
        errors="replace",
    )
