"""A throw-away copy of the working tree in which stages run and DVC may do as it likes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
# Between this process and the one that is measured: a process begins with as much memory as its starter has.
_MEASURED = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
if done.returncode:
    sys.stderr.buffer.write(done.stdout)
    sys.exit(done.returncode)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss * unit / 1e6}))
"""
_LEFT_OUT = {".git", ".venv", ".cache", "data", "docs", "tests"}


@dataclass(frozen=True)
class Spent:
    """CPU seconds of a process and its children, and the most memory that one of them held."""

    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Workspace:
    """A copy at ``root``; commands run in it with this process' Python."""

    root: Path

    def run(self, *command: str) -> str:
        """What a module prints on its standard output when it is run to its end.

        Raises:
            RuntimeError: it failed; the message has all that it printed.
        """
        return self._output([sys.executable, "-m", *command])

    def _output(self, words: list[str]) -> str:
        done = subprocess.run(
            words,
            cwd=self.root,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} gave {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def seconds(self, *command: str) -> float:
        """Run a module to its end; returns how long it took."""
        started = time.perf_counter()
        self.run(*command)
        return time.perf_counter() - started

    def spent(self, *command: str) -> Spent:
        """What a module takes that is run to its end, with all that it starts.

        Raises:
            RuntimeError: it failed; the message has all that it printed.
        """
        told = json.loads(self._output([sys.executable, "-c", _MEASURED, sys.executable, "-m", *command]))
        return Spent(**told)

    def asked(self, *command: str) -> dict[str, Any]:
        """The line of JSON that a measuring module prints last, with the ``wall_seconds`` of the whole process."""
        started = time.perf_counter()
        found: dict[str, Any] = json.loads(self.run(*command).splitlines()[-1])
        return {**found, "wall_seconds": time.perf_counter() - started}

    def _environment(self) -> dict[str, str]:
        """This process', with the copy's modules first and this Python as `python`, which DVC looks for."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
        modules = [str(self.root), *filter(None, [os.environ.get("PYTHONPATH")])]
        programs = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
        return kept | {
            "DVC_NO_ANALYTICS": "1",
            "PYTHONPATH": os.pathsep.join(modules),
            "PATH": os.pathsep.join(programs),
        }

    def compose(self, *overrides: str) -> None:
        """Write ``params.yaml``."""
        self.seconds("pipeline.compose", *overrides)

    def clear(self, folder: str) -> None:
        """Remove a folder of outputs."""
        shutil.rmtree(self.root / folder, ignore_errors=True)


def copy_of_repository(root: Path) -> Workspace:
    """Copy the working tree as it is, and make it a repository of its own where git is at hand."""
    for path in _files():
        if path.parts[0] not in _LEFT_OUT:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / path, root / path)
    workspace = Workspace(root)
    try:
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    except (OSError, subprocess.CalledProcessError):
        workspace.seconds("dvc", "config", "--local", "core.no_scm", "true")
    return workspace


def _files() -> list[Path]:
    """What git tracks or would track; in a tree without git, everything but what the pipeline makes."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        paths = [Path(name) for name in listed.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path.relative_to(REPOSITORY) for path in REPOSITORY.rglob("*")]
    return [path for path in paths if (REPOSITORY / path).is_file()]
