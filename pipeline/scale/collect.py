"""Results brought home: entries of the lock file, held to the plan, and the outputs that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pipeline.scale import store
from pipeline.scale.plan import LOCK, Plan


@dataclass
class Collected:
    """What came of a plan, by the stages' names.

    Attributes:
        accepted: stages that DVC holds for done now.
        refused: those that it does not, with the reason.
        missing: those without a result.
        twice: those that ran more than once and gave different bytes; the first is taken.
    """

    accepted: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)


def collect(plan: Plan, entries: Mapping[str, Sequence[dict[str, Any]]]) -> Collected:
    """Add entries to the lock file and bring their outputs.

    An entry is taken where it is of the plan's command, code, data and parameters, and where all that it names can be
    had. The lock file is written whole, or not at all.

    Args:
        plan: what was to be run.
        entries: of the lock file, by the stages' names; of a stage that ran twice, both.
    """
    from dvc.exceptions import CheckoutError, DownloadError
    from dvc.utils.serialize import load_yaml

    found, wanted = Collected(), dict[str, dict[str, Any]]()
    for name, work in plan.work.items():
        told = [{key: entry.get(key) for key in work.entry} for entry in entries.get(name, [])]
        fit = [entry for entry, own in zip(entries.get(name, []), told, strict=True) if own == work.entry]
        if fit:
            wanted[name] = fit[0]
            if any(entry["outs"] != fit[0]["outs"] for entry in fit):
                found.twice.append(name)
        elif told:
            differs = sorted({key for own in told for key in work.entry if own[key] != work.entry[key]})
            found.refused[name] = f"other {' and '.join(differs)} than planned"
        else:
            found.missing.append(name)
    if not wanted:
        return found

    before: dict[str, Any] = load_yaml(str(LOCK)) if LOCK.exists() else {"schema": "2.0", "stages": {}}
    _write({**before, "stages": {**before["stages"], **dict(sorted(wanted.items()))}})
    with store.opened(plan.remote) as repo:
        # By the matrix's name: of a list of names DVC reads the whole lock file once each. What is not there is told
        # by the status, stage by stage.
        if plan.remote is not None:
            with suppress(DownloadError):
                repo.fetch([plan.stage], remote=store.STORE)
        with suppress(CheckoutError):
            repo.checkout([plan.stage], force=True, allow_missing=True)
        changed = repo.status([plan.stage])
    for name in wanted:
        if name in changed:
            found.refused[name] = f"DVC does not take it: {changed[name]}"
        else:
            found.accepted.append(name)
    if len(found.accepted) < len(wanted):  # what DVC would not take is no part of the lock file
        accepted = {name: wanted[name] for name in sorted(found.accepted)}
        _write({**before, "stages": {**before["stages"], **accepted}})
    return found


def _write(lock: dict[str, Any]) -> None:
    from dvc.utils.serialize import dump_yaml

    partial = LOCK.with_name(f".{LOCK.name}.partial")
    dump_yaml(str(partial), lock)
    partial.replace(LOCK)
