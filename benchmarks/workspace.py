"""A throw-away copy of the working tree in which stages run and DVC may do as it likes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
_LEFT_OUT = {".git", ".venv", ".cache", "data", "docs", "tests"}


@dataclass(frozen=True)
class Workspace:
    """A copy at ``root``; commands run in it with this process' Python."""

    root: Path

    def seconds(self, *command: str) -> float:
        """Run a command to its end; returns how long it took."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
        environment |= {"DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(self.root)}
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=self.root, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} gave {done.returncode}:\n{done.stdout}")
        return time.perf_counter() - started

    def compose(self, *overrides: str) -> None:
        """Write ``params.yaml``."""
        self.seconds("stages.compose", *overrides)

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
            cwd=REPOSITORY, stdout=subprocess.PIPE, check=True,
        ).stdout  # fmt: skip
        paths = [Path(name) for name in listed.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path.relative_to(REPOSITORY) for path in REPOSITORY.rglob("*")]
    return [path for path in paths if (REPOSITORY / path).is_file()]
