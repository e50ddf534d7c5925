"""A mark holds for the very store that it was made for, and gives way to any doubt; all without MLflow."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from specnorm.tracking import marks
from specnorm.tracking.place import Store
from specnorm.tracking.recorded import MovedError

SERVER = Store.at("http://me:secret@host:5000", "specnorm")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """As much of a store as a mark looks at."""
    (tmp_path / "mlartifacts").mkdir()
    (tmp_path / "manifest.json").write_text("digests")
    made = Store.at(f"sqlite:///{tmp_path}/mlflow.db", "specnorm")
    change(made, "CREATE TABLE experiments (experiment_id, name, creation_time, lifecycle_stage, artifact_location)")
    place = (tmp_path / "mlartifacts").as_uri()
    change(made, f"INSERT INTO experiments VALUES (1, 'specnorm', 1234, 'active', '{place}')")
    return made


def change(store: Store, statement: str) -> None:
    assert store.database is not None
    with closing(sqlite3.connect(store.database)) as connection, connection:
        connection.execute(statement)


def write(folder: Path, store: Store, experiment: str = "workspace") -> None:
    marks.write(folder, store, folder / "manifest.json", {"epochs": 3}, experiment)


def holds(folder: Path, store: Store, experiment: str = "workspace", epochs: int = 3) -> bool:
    return marks.holds(folder, store, folder / "manifest.json", {"epochs": epochs}, experiment)


def test_a_mark_is_of_results_parameters_and_an_experiment(store: Store, tmp_path: Path) -> None:
    assert not holds(tmp_path, store)
    write(tmp_path, store, "puffy-shoe")
    assert holds(tmp_path, store, "puffy-shoe")
    assert holds(tmp_path, store)  # under no name there is nothing to add
    assert not holds(tmp_path, store, "other-shoe")
    assert not holds(tmp_path, store, epochs=4)
    assert not holds(tmp_path, Store.at(store.uri, "elsewhere"))
    assert not holds(tmp_path, SERVER)
    (tmp_path / "manifest.json").write_text("other digests")
    assert not holds(tmp_path, store)
    (tmp_path / "manifest.json").unlink()
    assert not holds(tmp_path, store)


@pytest.mark.parametrize(
    "doubt",
    [
        lambda store: store.database.unlink(),
        lambda store: store.database.write_bytes(b"this is no database" * 500),
        lambda store: shutil.rmtree(store.artifacts),
        lambda store: change(store, "UPDATE experiments SET creation_time = 1235"),  # the store was made anew
        lambda store: change(store, "UPDATE experiments SET lifecycle_stage = 'deleted'"),
        lambda store: change(store, "ALTER TABLE experiments RENAME TO trials"),  # another MLflow
    ],
)
def test_a_store_in_doubt_has_no_mark(store: Store, tmp_path: Path, doubt: Callable[[Store], None]) -> None:
    write(tmp_path, store)
    assert holds(tmp_path, store)
    doubt(store)
    assert not holds(tmp_path, store)
    write(tmp_path, store)  # where nothing can be told of the store there is none
    assert len(list((tmp_path / "marks").iterdir())) == 1


@pytest.mark.parametrize("place", ["file:///old%20place/mlartifacts", "/old place/mlartifacts"])
def test_a_moved_store_has_no_mark(store: Store, tmp_path: Path, place: str) -> None:
    write(tmp_path, store)
    change(store, f"UPDATE experiments SET artifact_location = '{place}'")
    assert not holds(tmp_path, store)
    with pytest.raises(
        MovedError, match=r"made in another place in .*: expected artefacts in .*, got /old place/mlart"
    ):
        write(tmp_path, store)


@pytest.mark.parametrize("place", ["s3://bucket/mlartifacts", "mlflow-artifacts:/1", "file:///data/of/my/own"])
def test_a_place_that_a_person_chose_is_no_old_one(store: Store, tmp_path: Path, place: str) -> None:
    change(store, f"UPDATE experiments SET artifact_location = '{place}'")
    write(tmp_path, store)
    assert holds(tmp_path, store)


def test_results_that_wait_are_stronger_than_a_mark(store: Store, tmp_path: Path) -> None:
    write(tmp_path, store)
    for name in (".being-written", "whole"):
        note = marks.notes_of(tmp_path, store) / name
        note.mkdir(parents=True)
        assert holds(tmp_path, store)
        (note / "note.json").write_text("{}")
    assert not holds(tmp_path, store)


def test_a_servers_mark_is_trusted_and_names_no_password(store: Store, tmp_path: Path) -> None:
    write(tmp_path, SERVER)
    assert holds(tmp_path, Store.at("http://me:newer@host:5000", "specnorm"))
    assert not holds(tmp_path, Store.at("http://[::1", "specnorm"))
