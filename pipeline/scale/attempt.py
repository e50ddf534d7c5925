"""An attempt at a stage: a process of its own in a folder of its own, of which nothing is left after it."""

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

from pipeline.scale.cell import RESULT
from pipeline.scale.plan import Plan

_GRACE_S = 10.0  # from the interrupt that lets a stage end by itself to the kill
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
        tail: the last lines of one that failed.
    """

    name: str
    code: int
    seconds: float
    node: str
    entry: dict[str, Any] | None
    tail: list[str]


def run(
    plan_file: Path, name: str, environment: Mapping[str, str], say: Callable[[str], None] = lambda _: None
) -> Result:
    """Run one stage of a plan and wait for it.

    Args:
        plan_file: the plan.
        name: the stage's.
        environment: what its processes get beside this one's environment.
        say: is told each line that it prints.
    """
    started, scratch = time.monotonic(), Path(Plan.read(plan_file).scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cell-", dir=scratch, ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(  # noqa: S603 (a list of words)
            [sys.executable, "-m", "pipeline.scale.cell", str(plan_file), name, f"{folder}/clone"],
            stdin=subprocess.PIPE,  # whose end tells it that this process is no more
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment, "PATH": _path()},
            start_new_session=True,
            text=True,
            errors="replace",
        )
        lines: list[str] = []
        entry = None
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(RESULT):
                    entry = json.loads(line.removeprefix(RESULT))
                else:
                    lines.append(line.rstrip("\r\n"))
                    say(lines[-1])
            process.wait()
        finally:
            _end(process)
            shutil.rmtree(f"{folder}/clone", ignore_errors=True)
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    if code == 0 and entry is None:
        code = 1
    tail = [] if code == 0 else [line for line in lines if line.strip()][-_TAIL:]
    return Result(name, code, time.monotonic() - started, platform.node(), entry if code == 0 else None, tail)


def _path() -> str:
    """The programs that a stage finds: `python` is this one."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _end(process: subprocess.Popen[str]) -> None:
    """End the processes that are left of it, the stage's own among them."""
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
