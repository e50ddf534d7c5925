"""Training that is held up, or fails, as long as a file says so, and leaves a mark of every process that has begun."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.project import Project

VARIABLE = "SPECNORM_TEST_MARKS"

_AFTER = "    started = time.perf_counter()\n"
_WAIT = f"""{_AFTER}
    marks = Path(os.environ["{VARIABLE}"])
    (marks / f"{{norm}}-{{os.getpid()}}").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    while (marks / "hold").exists():
        time.sleep(0.02)
    if (marks / f"{{norm}}-fails").exists():
        print("train: told to fail", flush=True)
        sys.exit(3)

"""


@dataclass(frozen=True)
class Marks:
    """The folder of the files, which `VARIABLE` names to the training."""

    folder: Path

    def put_into(self, project: Project) -> None:
        """Let a project's training look at the files; its code is then another one's than any other test's."""
        train = project.root / "stages/train.py"
        code = train.read_text()
        assert code.count(_AFTER) == 1
        train.write_text(code.replace(_AFTER, _WAIT) + f"# {self.folder.parent.name}\n")
        self.folder.mkdir()

    def hold(self) -> None:
        """Let no training end."""
        (self.folder / "hold").touch()

    def release(self) -> None:
        """Let those go on that wait."""
        (self.folder / "hold").unlink()

    def fail(self, mode: str, *, fails: bool = True) -> None:
        """Let a mode's training exit with 3, or not any more."""
        (self.folder / f"{mode}-fails").touch() if fails else (self.folder / f"{mode}-fails").unlink()

    def trained(self, mode: str = "*") -> list[int]:
        """The processes that have begun to train."""
        return [int(path.name.rpartition("-")[2]) for path in self._begun(mode)]

    def gpus(self) -> list[str]:
        """What each of them saw."""
        return sorted(path.read_text() for path in self._begun("*"))

    def _begun(self, mode: str) -> list[Path]:
        return sorted(self.folder.glob(f"{mode}-[0-9]*"))


def wait_until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for what must come."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
