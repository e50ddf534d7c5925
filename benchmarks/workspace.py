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
    """Copy what git tracks or would track, as it is now, and make it a repository of its own where git is at hand."""
    for path in _files():
        if path.parts[0] not in ("tests", "docs"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / path, root / path)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return Workspace(root)


def _files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip
    names = [Path(name) for name in listed.decode().split("\0") if name]
    return [path for path in names if (REPOSITORY / path).is_file()]
