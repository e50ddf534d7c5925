"""Results brought home: entries of the lock file, held to the plan, and the outputs that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.scale.plan import LOCK, Plan

_STORE = "store"


@dataclass
class Collected:
    """What came of a plan, by the stages' names.

    Attributes:
        accepted: stages that DVC holds for done now.
        refused: those that it does not, with the reason.
        missing: those without a result.
    """

    accepted: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def collect(plan: Plan, entries: Mapping[str, dict[str, Any]]) -> Collected:
    """Add entries to the lock file and bring their outputs; one at a time has no part in another's.

    An entry is taken where it is of the plan's command, code, data and parameters, and where all that it names can be
    had: a remote gets the entry of a run before its outputs. The lock file is written whole, or not at all.

    Args:
        plan: what was to be run.
        entries: of the lock file, by the stages' names.
    """
    from dvc.repo import Repo
    from dvc.utils.serialize import load_yaml

    found = Collected(missing=[name for name in plan.work if name not in entries])
    wanted = {}
    for name, work in plan.work.items():
        if name in entries:
            told = {key: entries[name].get(key) for key in work.entry}
            if told == work.entry:
                wanted[name] = entries[name]
            else:
                differs = [key for key in work.entry if told[key] != work.entry[key]]
                found.refused[name] = f"another {' and '.join(differs)} than planned"
    if not wanted:
        return found
    before = LOCK.read_bytes() if LOCK.exists() else None
    lock: dict[str, Any] = load_yaml(str(LOCK)) if before is not None else {"schema": "2.0", "stages": {}}
    lock["stages"].update(sorted(wanted.items()))
    _write(lock)
    config = {} if plan.remote is None else {"remote": {_STORE: {"url": plan.remote}}}
    with Repo(config=config) as repo:
        # By the matrix's name: of a list of names DVC reads the whole lock file once each.
        if plan.remote is not None:
            repo.fetch([plan.stage], remote=_STORE)
        repo.checkout([plan.stage], force=True, allow_missing=True)
        changed = repo.status([plan.stage])
    for name in wanted:
        if name in changed:
            found.refused[name] = f"DVC says: {changed[name]}"
        else:
            found.accepted.append(name)
    if any(name in changed for name in wanted):  # what DVC would not take is no part of the lock file
        lock = load_yaml(str(LOCK))
        lock["stages"] = {name: entry for name, entry in lock["stages"].items() if name not in found.refused}
        _write(lock)
    return found


def _write(lock: dict[str, Any]) -> None:
    from dvc.utils.serialize import dump_yaml

    partial = LOCK.with_name(f".{LOCK.name}.partial")
    dump_yaml(str(partial), lock)
    partial.replace(LOCK)
