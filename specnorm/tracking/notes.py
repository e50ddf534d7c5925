"""Results that could not be mirrored, kept until they can be: a folder each, with all that is needed.

What is to be mirrored may be gone by the next time: an experiment's copy of the repository with its end, a workspace's
results with the next parameter. A note's files are links to the same bytes where the file system has them, so that it
takes no room as long as the cache holds those too.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from specnorm import files
from specnorm.comparison.document import cells_digest
from specnorm.errors import IntegrityError, ResourceError
from specnorm.files import PARTIAL_SUFFIX
from specnorm.params import Params
from specnorm.report import results
from specnorm.report.results import MANIFEST
from specnorm.tracking import marks
from specnorm.tracking.finished import Finished
from specnorm.tracking.marks import NOTE
from specnorm.tracking.place import Store
from specnorm.training import cells
from specnorm.training.cells import StoredCell
from specnorm.training.key import CellKey

_FORMAT = 1
_COMPARISON, _CELLS, _SOURCES = "comparison", "cells", "sources"


def leave(folder: Path, store: Store, finished: Finished) -> None:
    """Leave a note in ``folder`` of the results that a store lacks, whole or not at all.

    Raises:
        ResourceError: it cannot be written.
    """
    note = _place(folder, store, finished)
    if (note / NOTE).exists():
        return
    remove(note)  # what is left of one
    partial = note.with_name(f".{note.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    told = {"params": finished.params, "tags": finished.tags, "cells": [asdict(cell.key) for cell in finished.cells]}
    try:
        for place, source in _contents(finished).items():
            _keep(source, partial / place)
        files.write_sealed(partial / NOTE, {"format": _FORMAT, **told})  # last: a folder without it is no note
        partial.rename(note)
    except OSError as error:
        raise ResourceError("cannot leave a note", where=note, got=error.strerror or error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read(note: Path) -> Finished:
    """The results of a note.

    Raises:
        IntegrityError: a file of it is missing or damaged, or it is of a version with other parameters.
    """
    told = files.read_sealed(note / NOTE, format=_FORMAT, what="note")
    try:
        keys = TypeAdapter(list[CellKey]).validate_python(told["cells"])
        params = Params.model_validate(told["params"]).model_dump()
        tags = dict(told["tags"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise IntegrityError("damaged note", where=note / NOTE, got=str(error).partition("\n")[0]) from error

    def sources(cell: StoredCell) -> dict[str, Path]:
        return {path.parent.name: path for path in sorted((note / _SOURCES / cell.key.path).glob("*/*"))}

    stored = [cells.read(note / _CELLS / key.path) for key in keys]
    return Finished(results.read(note / _COMPARISON), stored, params, tags, sources)


def drop(folder: Path, store: Store, finished: Finished) -> None:
    """Remove the note of these results, if there is one, and what dead processes left of others."""
    remove(_place(folder, store, finished))
    for partial in marks.notes_of(folder, store).glob(f".*{PARTIAL_SUFFIX}"):
        shutil.rmtree(partial, ignore_errors=True)


def remove(note: Path) -> None:
    """Remove a note that has been acted on, whole or not at all."""
    gone = note.with_name(f".{note.name}.gone{PARTIAL_SUFFIX}")
    with suppress(OSError):
        shutil.rmtree(gone, ignore_errors=True)
        note.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _place(folder: Path, store: Store, finished: Finished) -> Path:
    """The same results under another experiment's name have a note of their own."""
    told = [files.sha256_file(finished.results.folder / MANIFEST), cells_digest(finished.cells), finished.tags]
    return marks.notes_of(folder, store) / files.fingerprint(told)[:16]


def _contents(finished: Finished) -> dict[Path, Path]:
    """What a note holds: the place in it, and the file that is kept there."""
    folder = finished.results.folder
    found = {Path(_COMPARISON, name): folder / name for name in (*finished.results.files, MANIFEST)}
    for cell in finished.cells:
        found |= {Path(_CELLS, cell.key.path, path.name): path for path in cell.folder.iterdir()}
        for kind, path in finished.sources(cell).items():
            found[Path(_SOURCES, cell.key.path, kind, path.name)] = path
    return found


def _keep(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        os.link(source.resolve(), place)
        return
    shutil.copyfile(source, place)
