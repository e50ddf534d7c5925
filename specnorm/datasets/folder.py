"""A folder of clips on this machine, and its packing into a zip whose bytes depend on the clips alone."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from specnorm.datasets.source import LIMIT_BYTES, refuse_case_twins, refuse_missing, refuse_tricks
from specnorm.errors import DataError, IntegrityError
from specnorm.files import atomic_path

_CHUNK = 2**20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name


class Folder:
    """Files below a folder, by their names relative to it; a link that leaves the folder is refused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names: list[str] = []
        self._folders: list[str] = []
        for root, folders, names in os.walk(path):
            below = Path(root).relative_to(path)
            self._folders += ((below / name).as_posix() for name in folders)
            self._names += ((below / name).as_posix() for name in names)

    def names(self) -> list[str]:
        """The files' names, sorted, with ``/`` between folders; links to folders are not followed."""
        return sorted(self._names)

    def folders(self) -> list[str]:
        """The names of the folders below this one, sorted, and of links to folders, which are not followed."""
        return sorted(self._folders)

    def check(self, names: Iterable[str]) -> None:
        """Refuse files that cannot be read safely, before any is read.

        Raises:
            DataError: a file is missing (the message lists the first five and the count) or is not a file.
            IntegrityError: a name is unsafe or differs from another in case alone, a link leaves the folder, or a
                file is too big.
        """
        wanted = list(names)
        refuse_missing(wanted, self._names, where=self.path)
        refuse_case_twins(wanted, where=self.path)
        for name in wanted:
            self.size(name)

    def read(self, name: str, *, limit_bytes: int = LIMIT_BYTES) -> bytes:
        """The bytes of one file.

        Raises:
            DataError: the file is missing, is not a file or cannot be read.
            IntegrityError: the name is unsafe, a link leaves the folder, or the file is too big.
        """
        return b"".join(_chunks(self._place(name, limit_bytes)))

    def head(self, name: str, count: int) -> bytes:
        """The first ``count`` bytes of one file; raises as :meth:`read`."""
        return next(_chunks(self._place(name, LIMIT_BYTES), max(count, 1)), b"")[:count]

    def size(self, name: str) -> int:
        """The length of one file in bytes; raises as :meth:`read`."""
        return self._place(name, LIMIT_BYTES).stat().st_size

    def _place(self, name: str, limit_bytes: int) -> Path:
        refuse_tricks(name, where=self.path)
        place = self.path / name
        if not place.exists():
            raise DataError("missing file", where=place)
        if not place.resolve().is_relative_to(self.path.resolve()):
            raise IntegrityError("a link leaves the folder", where=place, expected=f"a file below {self.path}")
        if not place.is_file():
            raise DataError("not a file", where=place)
        size = place.stat().st_size
        if size > limit_bytes:
            raise IntegrityError("a file is too big", where=place, expected=f"at most {limit_bytes} bytes", got=size)
        return place


def pack_folder(folder: Path, names: Iterable[str], destination: Path) -> None:
    """Write the named files of ``folder`` to the zip ``destination``, atomically.

    The same files give the same bytes: names are sorted, nothing is compressed, no time or owner is kept.

    Raises:
        DataError: a file is missing, is not a file or cannot be read.
        IntegrityError: a name is unsafe or a link leaves the folder.
        ResourceError: the zip cannot be written.
    """
    source = Folder(folder)
    wanted = sorted(set(names))
    source.check(wanted)
    with atomic_path(destination) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as packed:
        for name in wanted:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # Unix, on every machine
            info.external_attr = 0o644 << 16
            info.file_size = source.size(name)  # lets zipfile choose its 64 bit form
            with packed.open(info, "w") as member:
                for chunk in _chunks(folder / name):
                    member.write(chunk)


def _chunks(path: Path, size: int = _CHUNK) -> Iterator[bytes]:
    try:
        with path.open("rb") as handle:
            while chunk := handle.read(size):
                yield chunk
    except OSError as error:
        raise DataError("unreadable file", where=path, got=error.strerror, hint="Fix its permissions") from error
