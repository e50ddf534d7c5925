"""What a local store's own table says of an experiment, read without MLflow, whose import alone takes seconds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from specnorm.errors import ResourceError
from specnorm.tracking.place import Store


class MovedError(ResourceError):
    """The store was made in another place, and what is added to it would be written there."""


@dataclass(frozen=True)
class Recorded:
    """An experiment as the store has it.

    Args:
        number: MLflow's, which its pages' addresses name.
        created: milliseconds since 1970.
        location: the URI of the folder of its artefacts.
    """

    number: str
    created: int
    location: str


def recorded(store: Store) -> Recorded | None:
    """The store's experiment; ``None`` where there is none, or where it cannot be told without MLflow."""
    if store.database is None:
        return None
    # MLflow's own table. Should it have another form one day, then nothing is told here, and MLflow is asked.
    query = (
        "SELECT experiment_id, creation_time, artifact_location FROM experiments "
        "WHERE name = ? AND lifecycle_stage = 'active'"
    )
    try:
        with closing(sqlite3.connect(f"{store.database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(query, (store.experiment,)).fetchone()
    except sqlite3.Error:
        return None
    return None if found is None else Recorded(str(found[0]), int(found[1]), str(found[2]))


def refuse_moved(store: Store, location: str) -> None:
    """Refuse an experiment whose artefacts go to another clone's folder; one that a person chose is no such folder.

    Raises:
        MovedError: they go to a folder like the store's own, in another place: the clone was moved or copied.
    """
    if store.artifacts is None:
        return
    own, parts = store.artifacts.resolve(), urlsplit(location)
    given = Path(unquote(parts.path))
    if parts.scheme in ("", "file") and given.name == own.name and given != own:
        raise MovedError(
            "an MLflow store that was made in another place",
            where=store.shown,
            expected=f"artefacts in {store.masked(str(own))}",
            got=store.masked(str(given)),
        )
