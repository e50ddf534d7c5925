"""The repository as DVC opens it, with the plan's remote under a name of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvc.repo import Repo

STORE = "store"


@contextmanager
def opened(remote: str | None, **sections: dict[str, str]) -> Iterator[Repo]:
    """The repository of the working directory.

    Args:
        remote: the URL that :data:`STORE` stands for; ``None`` where there is none.
        **sections: of DVC's configuration, told here and in no file, which could not hold paths in any language.
    """
    from dvc.repo import Repo

    told = sections if remote is None else {**sections, "remote": {STORE: {"url": remote}}}
    with Repo(config=told) as repo:
        yield repo
