"""One stage in a clone of its own: cloned, given what it reads, run, handed over. It knows nothing of who asked for it.

`python -m pipeline.scale.cell PLAN NAME WORKSPACE` prints DVC's lines and those of the stage, and at the end a line of
JSON: the stage's entry of the lock file. Whoever starts it holds a pipe to its standard input; when that closes,
however its starter has gone, it and all that it has started end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.scale.plan import LOCK, Plan

RESULT = "specnorm-cell "  # before the line of JSON

_PUSHES = (0.0, 2.0, 10.0, 30.0)  # seconds before each attempt to hand over
_STORE = "store"


def main(argv: list[str]) -> int:
    plan_file, name, workspace = argv
    _end_with_starter()
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    plan, folder = Plan.read(Path(plan_file)), Path(workspace)
    _clone(plan, folder)
    os.chdir(folder)

    from dvc.exceptions import ReproductionError
    from dvc.repo import Repo
    from dvc.utils.serialize import load_yaml

    needs = plan.work[name].needs
    with Repo() as repo:
        if needs:
            if plan.remote is not None:
                repo.fetch(needs, remote=_STORE)
            repo.checkout(needs, force=True)
        try:
            repo.reproduce([name], single_item=True)
        except ReproductionError as error:  # the stage has said why
            code = int(getattr(error.__cause__, "status", None) or 1)
            return code if code > 0 else 128 - code
        entry = load_yaml(str(LOCK))["stages"][name]
        if plan.remote is not None:
            _patiently(lambda: repo.push([name], remote=_STORE, run_cache=True))
    print(RESULT + json.dumps(entry), flush=True)
    return 0


def _clone(plan: Plan, folder: Path) -> None:
    """The code at the plan's commit, with a configuration of its own."""
    for words in (
        ("init", "--quiet", str(folder)),
        ("-C", str(folder), "fetch", "--quiet", plan.bundle, plan.reference),
        ("-C", str(folder), "checkout", "--quiet", plan.commit),
    ):
        subprocess.run(["git", *words], stdin=subprocess.DEVNULL, check=True)  # noqa: S603, S607
    Path(plan.cache).mkdir(parents=True, exist_ok=True)
    lines = ["[cache]", f"dir = {plan.cache}", "type = reflink,hardlink,symlink,copy"]
    lines += ["[core]", f"site_cache_dir = {plan.cache}.site"]
    if plan.remote is not None:
        lines += [f"remote = {_STORE}", f"['remote \"{_STORE}\"']", f"url = {plan.remote}"]
    (folder / ".dvc/config.local").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # Checkpoints outlive the clone, so that another attempt on the same machine goes on where this one was.
    kept = Path(plan.scratch) / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    (folder / ".cache").symlink_to(kept)


def _patiently(push: Callable[[], object]) -> None:
    """Hand over; a store that is away for a moment costs no training."""
    from dvc.exceptions import DvcException

    for wait in _PUSHES:
        time.sleep(wait)
        try:
            push()
        except (DvcException, OSError) as error:
            failure = error
            print(f"cannot push: {error}", file=sys.stderr, flush=True)
        else:
            return
    raise failure


def _end_with_starter() -> None:
    """End this process group when the pipe at standard input closes."""

    def wait() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock is held while it waits, and is asked for at Python's end
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
