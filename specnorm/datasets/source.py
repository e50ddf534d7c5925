"""Where clips come from: named members of a zip or of a folder, read one at a time and never unpacked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from specnorm.datasets.lookalikes import composed
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


def find(names: Iterable[str], present: Iterable[str], *, where: object) -> dict[str, str]:
    """The member that each name means: that of the very name, or the only one of the same text in another Unicode form.

    macOS writes an accent behind its letter, other systems write both as one; an archive keeps what it was given.

    Raises:
        DataError: there is none (the message lists the first five and the count), or more than one.
    """
    have = set(present)
    of_text: dict[str, list[str]] = {}
    for name in sorted(have):
        of_text.setdefault(composed(name), []).append(name)
    found = {}
    for name in names:
        meant = [name] if name in have else of_text.get(composed(name), [name])
        if len(meant) > 1:
            raise one_text_twice(meant, where=where)
        found[name] = meant[0]
    refuse_missing(found.values(), have, where=where)
    return found


def one_text_twice(names: Iterable[str], *, where: object) -> DataError:
    """The error for names that are one text in different Unicode forms."""
    got = " and ".join(map(ascii, names))
    hint = "Remove the one that is not meant, or give it another name"
    return DataError("one name in two Unicode forms", where=where, expected="one file of that name", got=got, hint=hint)


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
