"""A note holds all that mirroring needs, when everything else is gone, and says where it is damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specnorm.errors import IntegrityError, ResourceError
from specnorm.tracking import marks, notes
from specnorm.tracking.finished import Finished
from specnorm.tracking.place import Store
from specnorm.training.cells import StoredCell
from tests import builders
from tests.tracking.mirrored import TAGS

STORE, OTHER = (Store(f"http://{host}", None, "specnorm") for host in ("here", "there"))


@pytest.fixture
def results(finished: Any, stored: list[StoredCell]) -> Finished:
    made: Finished = finished(stored)
    return made


@pytest.fixture
def note(results: Finished, tmp_path: Path) -> Path:
    notes.leave(tmp_path / "kept", STORE, results)
    (found,) = marks.waiting(tmp_path / "kept", STORE)
    return found


def test_a_note_outlives_what_it_was_made_of(note: Path, results: Finished, tmp_path: Path) -> None:
    texts = {
        cell.key: {kind: path.read_text() for kind, path in results.sources(cell).items()} for cell in results.cells
    }
    for place in ("data", "statistics", "normalizer"):
        shutil.rmtree(tmp_path / place)
    read = notes.read(note)
    read.check()
    assert [cell.key for cell in read.cells] == [cell.key for cell in results.cells]
    assert all(not cell.folder.is_relative_to(tmp_path / "data") for cell in read.cells)
    assert {
        cell.key: {kind: path.read_text() for kind, path in read.sources(cell).items()} for cell in read.cells
    } == texts
    assert read.results.verdict == results.results.verdict
    assert read.results.files == results.results.files
    assert (read.dataset, read.params["train"], read.tags) == (results.dataset, results.params["train"], TAGS)


def test_a_note_is_for_the_store_that_lacks_the_results(note: Path, results: Finished, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    assert marks.waiting(kept, OTHER) == []
    notes.leave(kept, OTHER, results)
    notes.drop(kept, STORE, results)
    assert marks.waiting(kept, STORE) == []
    assert len(marks.waiting(kept, OTHER)) == 1
    local = Store(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "mlartifacts", "specnorm")
    assert marks.waiting(kept, local) == []


def test_what_is_left_of_a_note_by_a_kill_hinders_no_other(note: Path, results: Finished, tmp_path: Path) -> None:
    (note / "note.json").unlink()
    partial = note.with_name(f".{note.name}.1.partial")
    partial.mkdir()
    notes.leave(tmp_path / "kept", STORE, results)
    notes.read(note).check()
    notes.drop(tmp_path / "kept", STORE, results)
    assert list(note.parent.iterdir()) == []


def test_a_note_is_left_once_for_each_experiment(note: Path, results: Finished, finished: Any, tmp_path: Path) -> None:
    written = (note / "note.json").stat().st_ino
    notes.leave(tmp_path / "kept", STORE, results)
    assert marks.waiting(tmp_path / "kept", STORE) == [note]
    assert (note / "note.json").stat().st_ino == written
    other: Finished = finished(results.cells, results.results, **{"dvc.experiment": "puffy-shoe"})
    notes.leave(tmp_path / "kept", STORE, other)
    assert len(marks.waiting(tmp_path / "kept", STORE)) == 2
    notes.drop(tmp_path / "kept", STORE, other)
    assert marks.waiting(tmp_path / "kept", STORE) == [note]


def test_a_note_takes_no_room_where_files_can_be_linked(note: Path, results: Finished) -> None:
    cell = results.cells[0]
    held = note / "cells" / cell.key.path / "model.safetensors"
    assert held.samefile(cell.folder / "model.safetensors")


def without(path: Path) -> None:
    path.unlink()


def changed(path: Path) -> None:
    path.unlink()  # it is a link to the results' own file
    path.write_text("{}")


def of_other_parameters(path: Path) -> None:
    builders.edit(path, lambda told: told.update(params={"recipe": 3}))


def of_no_cells(path: Path) -> None:
    builders.edit(path, lambda told: told.update(cells=[{"norm": "none", "fold": 1}]))


@pytest.mark.parametrize(
    ("damaged", "how", "message"),
    [
        ("note.json", changed, "wrong note in .*note.json: expected format 1"),
        ("note.json", of_other_parameters, "damaged note in .*note.json: got .* validation errors for Params"),
        ("note.json", of_no_cells, "damaged note in .*note.json: got 1 validation error for list"),
        ("comparison/verdict.json", changed, "changed file in .*verdict.json"),
        ("comparison/figures/modes.svg", without, "missing file in .*modes.svg"),
        ("cells/none/fold-1/seed-0/history.csv", changed, "changed file in .*none/fold-1/seed-0/history.csv"),
        ("cells/global/fold-2/seed-0/metrics.json", without, "missing file in .*global/fold-2/seed-0/metrics.json"),
    ],
)
def test_a_damaged_note_says_where(note: Path, damaged: str, how: Callable[[Path], None], message: str) -> None:
    how(note / damaged)
    with pytest.raises(IntegrityError, match=message):
        notes.read(note)


def test_a_note_that_finds_no_space_leaves_nothing(
    results: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("specnorm.tracking.notes.os.link", full)
    monkeypatch.setattr("specnorm.tracking.notes.shutil.copyfile", full)
    with pytest.raises(ResourceError, match=r"cannot leave a note in .*: got No space left on device"):
        notes.leave(tmp_path / "kept", STORE, results)
    assert list(marks.notes_of(tmp_path / "kept", STORE).iterdir()) == []


def test_where_files_cannot_be_linked_they_are_copied(
    results: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def across(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("specnorm.tracking.notes.os.link", across)
    notes.leave(tmp_path / "kept", STORE, results)
    (note,) = marks.waiting(tmp_path / "kept", STORE)
    notes.read(note).check()
    assert not (note / "comparison/verdict.json").samefile(results.results.folder / "verdict.json")
