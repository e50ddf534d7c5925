"""The repository as DVC opens it, with the plan's remote under a name of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvc.repo import Repo

STORE = "store"


@contextmanager
def opened(remote: str | None) -> Iterator[Repo]:
    """The repository of the working directory.

    Args:
        remote: the URL that :data:`STORE` stands for; ``None`` where there is none.
    """
    from dvc.repo import Repo

    with Repo(config={} if remote is None else {"remote": {STORE: {"url": remote}}}) as repo:
        yield repo
