"""Where clips come from: named members of a zip or of a folder, read one at a time and never unpacked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from specnorm.errors import DataError, IntegrityError

LIMIT_BYTES = 256 * 2**20  # of one member: 25 minutes of 44.1 kHz stereo at 16 bit

_DRIVE = re.compile(r"^[A-Za-z]:")


class Source(Protocol):
    """What :class:`~specnorm.datasets.archive.Archive` and :class:`~specnorm.datasets.folder.Folder` share."""

    path: Path

    def names(self) -> list[str]:
        """The members' names, sorted, with ``/`` between folders."""

    def folders(self) -> list[str]:
        """The names of folders, sorted: all that hold no member, and some or all others."""

    def check(self, names: Iterable[str]) -> None:
        """Refuse names that are absent or not safe to read."""

    def read(self, name: str, *, limit_bytes: int = LIMIT_BYTES) -> bytes:
        """The bytes of one member."""

    def head(self, name: str, count: int) -> bytes:
        """The first ``count`` bytes of one member."""

    def size(self, name: str) -> int:
        """The length of one member in bytes."""


def trick_in(name: str) -> str | None:
    """Say why ``name`` is not a plain relative path, or ``None`` when it is one.

    Example:
        >>> trick_in("audio/1-137-A-32.wav")
        >>> trick_in("../secret")
        "a '..' part"
    """
    if any(ord(character) < 32 for character in name):
        return "a control character"
    if "\\" in name:
        return "a backslash"
    if _DRIVE.match(name):
        return "a drive letter"
    if name.startswith("/"):
        return "an absolute path"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return f"a '{part}' part" if part else "an empty part"
    return None


def refuse_tricks(name: str, *, where: object) -> None:
    """Refuse a name that could leave the source.

    Raises:
        IntegrityError: the name is absolute, climbs with ``..``, or holds a backslash, a drive letter or a control
            character.
    """
    trick = trick_in(name)
    if trick is not None:
        raise IntegrityError(
            "unsafe file name", where=where, expected="a plain relative path", got=f"{trick}: {name!r}"
        )


def refuse_missing(names: Iterable[str], present: Iterable[str], *, where: object) -> None:
    """Refuse names that are not present.

    Raises:
        DataError: the message lists the first five and the count.
    """
    have = set(present)
    missing = [name for name in names if name not in have]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        files = "file" if len(missing) == 1 else "files"
        raise DataError(f"{len(missing)} missing {files}", where=where, got=f"no {shown}")


def refuse_case_twins(names: Iterable[str], *, where: object) -> None:
    """Refuse two different names that are one file on a disk that ignores case.

    Raises:
        IntegrityError: the message holds both.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise IntegrityError("two names differ in case alone", where=where, got=f"{other!r} and {name!r}")
