"""Where MLflow keeps what it is told: opening it in bounded time, and its failures as one error of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic.util import CommandError
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from specnorm.datasets.urls import visible_url
from specnorm.errors import ResourceError

FINGERPRINT = "specnorm.fingerprint"

_SQLITE = "sqlite:///"
_BUSY_SECONDS = 10.0


@dataclass(frozen=True)
class Store:
    """Where MLflow keeps runs.

    Args:
        uri: the tracking URI.
        artifacts: folder for a local store's artefacts; ``None`` leaves it to the server.
        experiment: the experiment's name.
    """

    uri: str
    artifacts: Path | None
    experiment: str


@contextmanager
def opened(store: Store) -> Iterator[tuple[MlflowClient, Experiment]]:
    """A client of the store and the experiment in it, which is made where there is none.

    Raises:
        ResourceError: the store cannot be reached, read or written, now or anywhere in the block.
    """
    try:
        _probe(store.uri)
        client = MlflowClient(store.uri)
        yield client, _experiment(client, store)
    # What is missing for an import is the client of a server's artefact storage.
    except (MlflowException, SQLAlchemyError, CommandError, sqlite3.Error, OSError, ImportError) as error:
        shown = store.uri if store.uri.startswith(_SQLITE) else visible_url(store.uri)
        lines = str(error).strip().replace(store.uri, shown).splitlines()  # SQLAlchemy adds the statement
        raise ResourceError("cannot use the MLflow store", where=shown, got=lines[0] if lines else error) from error


def database(uri: str) -> Path | None:
    """The file of a SQLite store; ``None`` for any other."""
    return Path(uri.removeprefix(_SQLITE).partition("?")[0]) if uri.startswith(_SQLITE) else None


def runs_with(client: MlflowClient, experiment: Experiment, fingerprint: str) -> list[Run]:
    """The experiment's runs with a fingerprint, whole or half-written."""
    query = f"tags.`{FINGERPRINT}` = '{fingerprint}'"
    return list(client.search_runs([experiment.experiment_id], query))


def _probe(uri: str) -> None:
    """Open a SQLite store for writing: MLflow itself would try for minutes where it is locked or no database."""
    path = database(uri)
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT name FROM sqlite_master").fetchall()
        connection.rollback()


def _experiment(client: MlflowClient, store: Store) -> Experiment:
    found = client.get_experiment_by_name(store.experiment)
    if found is not None:
        return found
    # Said outright: the default would be the working directory, and an experiment's is a temporary one.
    location = None if store.artifacts is None else store.artifacts.resolve().as_uri()
    tags = {"mlflow.experimentKind": "custom_model_development"}
    return client.get_experiment(client.create_experiment(store.experiment, location, tags))
