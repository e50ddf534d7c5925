"""A throw-away copy of this repository in which DVC can run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

# The smallest run that goes through every stage: 2 modes, 1 held-out fold of 2, 1 epoch.
TINY = """\
# @package _global_
defaults:
  - override /dataset: synthetic
  - override /spectrogram: mel
  - override /norm: [none, global]

recipe: tiny

spectrogram:
  clip_seconds: 0.5
  n_mels: 16
  f_min: 100.0

protocol:
  folds: [1]

train:
  epochs: 1
  batch_size: 8
"""
TINY_DATASET = ["-S", "dataset.folds=2", "-S", "dataset.sources=2", "-S", "dataset.clip_seconds=0.5"]
TINY_RUN = ["-S", "experiment=tiny", *TINY_DATASET]


@dataclass(frozen=True)
class Ran:
    """What a command printed, and the stages that DVC ran in it."""

    output: str

    @property
    def stages(self) -> set[str]:
        """Names of the stages whose command was run (not those restored or skipped), less `source`, which always is."""
        return set(re.findall(r"Running stage '([^']+)'", self.output)) - {"source"}


@dataclass(frozen=True)
class Project:
    """A git repository with the pipeline in it.

    ``threads`` bounds each of its processes where it is given. ``elsewhere`` is another user's machine: another
    language and time zone, no home, no network, and files that are their owner's alone.
    """

    root: Path
    threads: int | None = None
    elsewhere: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The tests' own environment with its Python first, and nothing of an outer pipeline."""
        outer = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
        outer.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's Python writes it, into folders that stages depend on
        if self.threads is not None:
            outer["OMP_NUM_THREADS"] = str(self.threads)
        if self.elsewhere:
            outer.pop("HOME", None)
            nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
            outer |= {"LC_ALL": "C", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1", **nowhere}
        return outer | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@example.invalid",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@example.invalid",
        }

    @property
    def umask(self) -> int:
        """What keeps other users from new files; -1 for the tests' own."""
        return 0o077 if self.elsewhere else -1

    def run(self, *command: str, fails: bool = False, cwd: Path | None = None) -> Ran:
        """Run a command in the project; ``fails`` says whether it is expected to."""
        done = subprocess.run(
            command,
            cwd=cwd or self.root,
            env=self.environment,
            umask=self.umask,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"{' '.join(command)} gave {done.returncode}:\n{done.stdout}"
        return Ran(done.stdout)

    def dvc(self, *arguments: str, fails: bool = False) -> Ran:
        """Run DVC in the project."""
        return self.run("dvc", *arguments, fails=fails)

    def copied(self, root: Path) -> Project:
        """A copy in another place. The files of DVC's cache, which it never writes to again, are linked.

        Its MLflow store is left out, as everyone who copies a clone has to leave it: it belongs to its place.
        """
        cache = Path(".dvc/cache/files")

        def beside(folder: str, _: list[str]) -> list[str]:
            left = {(self.root / cache).parent: [cache.name], self.root: ["mlflow.db", "mlartifacts"]}
            return left.get(Path(folder), [])

        shutil.copytree(self.root, root, symlinks=True, ignore=beside)
        shutil.copytree(self.root / cache, root / cache, copy_function=os.link)
        return Project(root, self.threads, self.elsewhere)

    def commit(self, message: str) -> None:
        """Commit everything that git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", "-m", message)


def copy_of_repository(root: Path, *, threads: int | None = None, elsewhere: bool = False) -> Project:
    """Copy the files that git tracks, as they are now, with the tiny recipe beside them, into a fresh repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    for name in listed.decode().split("\0"):
        if name and (REPOSITORY / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, root / name)
    (root / "conf/experiment/tiny.yaml").write_text(TINY)
    project = Project(root, threads, elsewhere)
    project.run("git", "init", "-q")
    project.commit("start")
    return project
