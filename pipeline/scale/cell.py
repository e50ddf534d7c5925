"""One stage, in the clone that it is run in: given what it reads, run, handed over, for whoever asked for it.

`python -m pipeline.scale.cell PLAN NAME` prints DVC's lines and those of the stage, and at the end a line of JSON: the
stage's entry of the lock file, and the accuracy of what was trained. Whoever starts it, as the first of a process
group, holds a pipe to its standard input; when that closes, however its starter has gone, the group ends.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipeline import command, progress
from pipeline.scale import store
from pipeline.scale.attempt import RESULT
from pipeline.scale.plan import LOCK, Plan
from specnorm.errors import ResourceError

_EXIT = re.compile(r"exited with (-?\d+)")  # DVC keeps the stage's exit code in its words alone
_PUSHES = (0.0, 2.0, 10.0, 30.0)  # seconds before each attempt to hand over


def main(argv: list[str]) -> int:
    plan_file, name = argv
    _end_with_starter()
    plan = Plan.read(Path(plan_file))
    _keep(plan)

    from dvc.exceptions import ReproductionError
    from dvc.utils.serialize import load_yaml

    needs = plan.work[name].needs
    cache = {"dir": plan.cache, "type": "reflink,hardlink,symlink,copy"}
    core = {"site_cache_dir": str(Path(plan.scratch) / "site")}
    with store.opened(plan.remote, cache=cache, core=core) as repo:
        if needs:
            if plan.remote is not None:
                repo.fetch(needs, remote=store.STORE)
            repo.checkout(needs, force=True)
        try:
            repo.reproduce([name], single_item=True)
        except ReproductionError as error:  # the stage has said why
            code = _EXIT.search(str(error.__cause__))
            return 1 if code is None else int(code[1]) if int(code[1]) > 0 else 128 - int(code[1])
        entry = load_yaml(str(LOCK))["stages"][name]
        if plan.remote is not None:
            _patiently(lambda: repo.push([name], remote=store.STORE, run_cache=True))
    found = progress.accuracy(Path(entry["outs"][0]["path"]))
    print(RESULT + json.dumps({"entry": entry, "accuracy": found}), flush=True)
    return 0


def _keep(plan: Plan) -> None:
    """Let checkpoints outlive this clone: another attempt on the same machine goes on where this one was."""
    kept = Path(plan.scratch) / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    Path(".cache").symlink_to(kept)


def _patiently(push: Callable[[], object]) -> None:
    """Hand over; a store that is away for a moment costs no training."""
    from dvc.exceptions import DvcException

    for number, wait in enumerate(_PUSHES, 1):
        time.sleep(wait)
        try:
            push()
        except (DvcException, OSError) as error:
            if number == len(_PUSHES):
                hint = "What was trained is kept on its machine: the same command hands it over"
                raise ResourceError("the remote takes no result", got=error, hint=hint) from error
            command.tell(f"cell: the remote takes no result, and is asked again: {error}")
        else:
            return


def _end_with_starter() -> None:
    """Leave a guard that ends this process group when the pipe at standard input closes.

    A process and no thread of this one: Ray ends the processes that its lost workers have started, and so this one
    first, but none of those that this one has started.
    """
    group = os.getpgrp()
    if os.fork():
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        return
    os.setsid()
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)  # or whoever reads what the cell prints would wait for the guard
    os.dup2(nothing, 2)
    while os.read(0, 1):
        pass
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(command.run("cell", lambda: main(sys.argv[1:])))
