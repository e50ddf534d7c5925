"""MLflow's store: opening it in bounded time, its failures as one error of ours, its log without secrets."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from specnorm.errors import ResourceError
from specnorm.tracking.place import Store
from specnorm.tracking.recorded import refuse_moved

FINGERPRINT = "specnorm.fingerprint"

_BUSY_SECONDS = 10.0


@contextmanager
def opened(store: Store) -> Iterator[tuple[MlflowClient, Experiment]]:
    """A client of the store and the experiment in it, which is made where there is none.

    Raises:
        ResourceError: the store cannot be reached, read or written, now or anywhere in the block.
        MovedError: it was made in another place.
    """
    where = store.shown
    with _log_lines(store):
        try:
            if store.database is not None:
                _probe(store.database)
            client = MlflowClient(store.uri)
            yield client, _experiment(client, store)
        # What is missing for an import is the client of a server's artefact storage.
        except (MlflowException, SQLAlchemyError, CommandError, sqlite3.Error, OSError, ImportError) as error:
            lines = store.masked(str(error).strip()).splitlines()  # SQLAlchemy adds the statement
            got = lines[0] if lines else type(error).__name__
            # Not `from error`: its text, which a traceback would show, may hold what lets somebody in.
            raise ResourceError("cannot use the MLflow store", where=where, got=got) from None


def runs_with(client: MlflowClient, experiment: Experiment, fingerprint: str) -> list[Run]:
    """The experiment's runs with a fingerprint, whole or half-written."""
    query = f"tags.`{FINGERPRINT}` = '{fingerprint}'"
    return list(client.search_runs([experiment.experiment_id], query))


def _probe(path: Path) -> None:
    """Write to a SQLite store and take it back: where it is locked, read-only or no database MLflow tries for minutes.

    Beginning to write is not enough: SQLite lets that pass in a file that can only be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.rollback()


def _experiment(client: MlflowClient, store: Store) -> Experiment:
    found = client.get_experiment_by_name(store.experiment)
    if found is not None:
        refuse_moved(store, found.artifact_location)
        return found
    # Said outright: the default would be the working directory, and an experiment's is a temporary one.
    location = None if store.artifacts is None else store.artifacts.resolve().as_uri()
    tags = {"mlflow.experimentKind": "custom_model_development"}
    return client.get_experiment(client.create_experiment(store.experiment, location, tags))


@contextmanager
def _log_lines(store: Store) -> Iterator[None]:
    """Whatever MLflow and its libraries log, one line each, masked: a server's address goes into their retries."""
    before = logging.getLogRecordFactory()

    def masked(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = before(*arguments, **named)
        text = store.masked(record.getMessage())
        record.msg, record.args, record.exc_info, record.stack_info = " ".join(text.split()), (), None, None
        return record

    logging.setLogRecordFactory(masked)
    try:
        yield
    finally:
        logging.setLogRecordFactory(before)
