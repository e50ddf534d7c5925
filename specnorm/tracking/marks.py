"""What is known to be in MLflow, without asking it: its import alone takes seconds.

A mark is a small file that is written after all of some results was mirrored. It is a shortcut and no promise: where
there is none, or any doubt, MLflow is asked, and adds nothing that is there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from specnorm import files
from specnorm.errors import ResourceError
from specnorm.tracking.place import Store
from specnorm.tracking.recorded import recorded, refuse_moved

# Of what a run and a model's version hold: raise it with any change, so that what has the old layout is left and
# written anew.
RUN_LAYOUT = 3
MODEL_LAYOUT = 1

NOTES, NOTE = "notes", "note.json"  # of results that a store lacks: a folder each, with this file
WORKSPACE = "workspace"  # the experiment of runs that are none's


def write(folder: Path, store: Store, manifest: Path, params: dict[str, Any], experiment: str) -> None:
    """Note that the store holds all of a comparison's results.

    Args:
        folder: what is remembered of MLflow.
        store: which holds it.
        manifest: the comparison's, which has the digests of all that it says of its cells.
        params: all parameters, nested.
        experiment: the experiment that the runs name.

    Raises:
        OSError: the manifest cannot be read.
        ResourceError: the mark cannot be written.
        MovedError: the store was made in another place.
    """
    identity = _identity(store)
    if identity is not None:
        # Whoever runs the same under no experiment's name has nothing to add.
        for name in {experiment, WORKSPACE}:
            files.write_text(_mark(folder, store, manifest, params, name), identity)


def holds(folder: Path, store: Store, manifest: Path, params: dict[str, Any], experiment: str) -> bool:
    """Whether the store holds the results, as far as can be told without MLflow, and none of others' wait."""
    try:
        marked = _mark(folder, store, manifest, params, experiment).read_text(encoding="utf-8")
        return marked == _identity(store) and not waiting(folder, store)
    except (OSError, ValueError, ResourceError):  # no results, no mark, or no store: the long way says which
        return False


def notes_of(folder: Path, store: Store) -> Path:
    """Where the notes of what a store lacks are; those of another store are no business of this one."""
    where = store.shown if store.database is None else os.path.relpath(store.database.resolve(), folder.resolve())
    return folder / NOTES / files.fingerprint(where)[:16]


def waiting(folder: Path, store: Store) -> list[Path]:
    """The notes of results that could not be mirrored, the oldest first; one with a dot is being written."""
    found = [(path.stat().st_mtime_ns, path.parent) for path in notes_of(folder, store).glob(f"[!.]*/{NOTE}")]
    return [note for _, note in sorted(found)]


def _mark(folder: Path, store: Store, manifest: Path, params: dict[str, Any], experiment: str) -> Path:
    where = store.shown if store.database is None else "here"  # the mark's content tells local stores apart
    told = [RUN_LAYOUT, MODEL_LAYOUT, where, store.experiment, files.sha256_file(manifest), params, experiment]
    return folder / "marks" / files.fingerprint(told)


def _identity(store: Store) -> str | None:
    """What tells a local store's experiment from one that was made anew, where it can be told.

    Raises:
        MovedError: it was made in another place.
    """
    if store.database is None or store.artifacts is None:
        return None if store.uri.startswith((".", "/", "file:")) else "a server's"  # a folder may be gone
    if not store.artifacts.is_dir():
        return None
    found = recorded(store)
    if found is None:
        return None
    refuse_moved(store, found.location)
    return f"{found.number} {found.created}"
