"""Bringing results into MLflow: one process at a time, and what cannot be brought now is noted for the next time."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from specnorm import files
from specnorm.errors import IntegrityError, ResourceError
from specnorm.report.results import MANIFEST
from specnorm.tracking import marks, notes
from specnorm.tracking.champion import ALIAS, ExportError, register
from specnorm.tracking.content import EXPERIMENT
from specnorm.tracking.finished import Finished
from specnorm.tracking.place import Store
from specnorm.tracking.runs import sync

# As long as this process gives to others at the same store. Each of them needs seconds, and a store that fails them
# is given up in half a minute.
_WAIT_SECONDS = 300.0


def mirror(store: Store, finished: Finished, folder: Path, say: Callable[[str], None]) -> None:
    """Bring results into the store, then those that could not be brought before.

    MLflow's first use of a fresh database fails when two processes meet in it, so they come one after another. Where
    the store fails, or another process keeps it for minutes, a note is left with all that is needed, and the next
    call acts on it, whoever makes it.

    Args:
        store: where to.
        finished: the results.
        folder: what is remembered of MLflow, by every process that writes to the same store.
        say: is told what was done, a line at a time.

    Raises:
        IntegrityError: the comparison is not one of these cells.
        ResourceError: the store cannot be reached or written.
        ExportError: the runs are there, but a model cannot be exported.
    """
    try:
        with _alone(folder / "mlflow.lock", say):
            unexported = _brought(store, finished, say)
            notes.drop(folder, store, finished)
            if _catch_up(store, folder, say):
                _brought(store, finished, lambda _: None)  # what is shown of a comparison is the last one's
            if unexported is None:  # without a mark the next call asks MLflow, and says again what is lacking
                with suppress(ResourceError):
                    manifest = finished.results.folder / MANIFEST
                    marks.write(folder, store, manifest, finished.params, finished.tags[EXPERIMENT])
    except ResourceError as error:
        try:
            notes.leave(folder, store, finished)
        except ResourceError as other:
            raise ResourceError(f"{error}; and no note of it: {other}") from error
        raise
    if unexported is not None:
        raise unexported


def _brought(store: Store, finished: Finished, say: Callable[[str], None]) -> ExportError | None:
    """Bring results; what keeps their model from being exported keeps nothing else."""
    try:
        _bring(store, finished, say)
    except ExportError as error:
        return error
    return None


def _bring(store: Store, finished: Finished, say: Callable[[str], None]) -> None:
    with _told("results not mirrored into MLflow"):
        synced = sync(store, finished)
    mended = f", {synced.mended} of them with lost files given back" if synced.mended else ""
    say(f"MLflow experiment {store.experiment}: {synced.added} runs added, {synced.known} there before{mended}")
    with _told("a model not registered in MLflow"):
        registered = register(store, finished)
    if registered is None:
        say(f"No model registered, and the champion stays: {finished.results.verdict.decision.state}")
        return
    if registered.champion is None or len(registered.versions) > 1:
        versions = ", ".join(f"{version} {norm}" for norm, version in registered.versions.items())
        say(f"Models: versions of models:/{registered.name}: {versions}")
    if registered.champion is not None:
        say(f"The recommended mode's model: models:/{registered.name}@{ALIAS}")


def _catch_up(store: Store, folder: Path, say: Callable[[str], None]) -> bool:
    """Act on the notes of earlier calls; whether there was one. A failure is a warning, and costs no other results."""
    waiting = marks.waiting(folder, store)
    for note in waiting:
        try:
            late = notes.read(note)
            say(f"Of an earlier run, {late.tags[EXPERIMENT]}, which could not write to MLflow:")
            _bring(dataclasses.replace(store, experiment=late.params["tracking"]["experiment"]), late, say)
        except (IntegrityError, ExportError) as error:  # will be no better
            warnings.warn(f"a note of an earlier run's results is dropped: {error}", stacklevel=2)
        except ResourceError as error:
            warnings.warn(f"an earlier run's results wait on: {error}", stacklevel=2)
            break
        notes.remove(note)
    return bool(waiting)


@contextmanager
def _alone(lock: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Wait for the other processes at the store, and say so."""
    with ExitStack() as held:
        with _told("results not mirrored into MLflow"):
            try:
                held.enter_context(files.exclusive(lock))
            except ResourceError:
                say("Waiting for another process that writes to MLflow")
                held.enter_context(files.exclusive(lock, timeout_s=_WAIT_SECONDS))
        yield


@contextmanager
def _told(failed: str) -> Iterator[None]:
    """Say in an error of the block what failed."""
    try:
        yield
    except ResourceError as error:
        raise type(error)(f"{failed}: {error}") from error
