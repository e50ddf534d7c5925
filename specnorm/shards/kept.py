"""Parts that were finished before: a run that was broken off goes on, and one with other clips makes only what changed.

A part is kept as links to its files and the digests of its clips, in a folder of its own that its clips' names and the
front end name. It is taken again where its clips have these bytes still.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from specnorm.errors import SpecnormError
from specnorm.files import fingerprint, read_sealed, sha256_file, write_sealed

_FORMAT = 1
_PART = "part.json"


@dataclass
class Kept:
    """The parts that a folder keeps.

    Args:
        folder: where; ``None`` keeps nothing.
        front_end: everything that determines a spectrogram's numbers.
    """

    folder: Path | None
    front_end: Mapping[str, Any]
    _used: set[str] = field(default_factory=set)

    def take(
        self, members: Sequence[str], digests: Callable[[Sequence[str]], Iterable[str]], names: Mapping[str, Path]
    ) -> dict[str, Any] | None:
        """Put a part's files where they belong; returns what was kept with it, or ``None`` where it is not there.

        Args:
            members: its clips.
            digests: tells the SHA-256 of each one's bytes; asked only where there is a part of these names.
            names: where each of its files belongs, by a name of its own.
        """
        found = self._read(members)
        if found is None or found["clips"] != list(digests(members)):
            return None
        place = self._place(members)
        try:
            for name, path in names.items():
                if sha256_file(place / name) != found["files"][name]:
                    return None
                path.parent.mkdir(parents=True, exist_ok=True)
                _link(place / name, path)
        except OSError:  # it is made anew, which says what is wrong
            return None
        told: dict[str, Any] = found["told"]
        return told

    def keep(
        self,
        members: Sequence[str],
        digests: Sequence[str],
        files: Mapping[str, tuple[Path, str]],
        told: Mapping[str, Any],
    ) -> None:
        """Keep a part; where that cannot be done, it will be made again.

        Args:
            members: its clips.
            digests: of these.
            files: each of its files and that file's digest, by a name of its own.
            told: what to keep with it.
        """
        if self.folder is None:
            return
        place = self._place(members)
        with suppress(OSError, SpecnormError):
            place.mkdir(parents=True, exist_ok=True)
            (place / _PART).unlink(missing_ok=True)
            for name, (path, _) in files.items():
                _link(path, place / name)
            document = {
                "format": _FORMAT,
                "clips": list(digests),
                "files": {name: digest for name, (_, digest) in files.items()},
                "told": dict(told),
            }
            write_sealed(place / _PART, document)

    def forget_others(self) -> None:
        """Remove what was neither taken nor kept: parts of clips or front ends that are no more."""
        if self.folder is None or not self.folder.is_dir():
            return
        for place in self.folder.iterdir():
            if place.name not in self._used:
                shutil.rmtree(place, ignore_errors=True)

    def _place(self, members: Sequence[str]) -> Path:
        assert self.folder is not None
        name = fingerprint([dict(self.front_end), list(members)])[:32]
        self._used.add(name)
        return self.folder / name

    def _read(self, members: Sequence[str]) -> dict[str, Any] | None:
        if self.folder is None or not (self._place(members) / _PART).exists():
            return None
        with suppress(SpecnormError):
            return read_sealed(self._place(members) / _PART, format=_FORMAT)
        return None


def _link(path: Path, other: Path) -> None:
    """Give a file a second name, or copy it where file systems differ."""
    other.unlink(missing_ok=True)
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
