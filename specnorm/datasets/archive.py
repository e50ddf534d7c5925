"""A zip of clips: members are read straight from it and never unpacked, so no path in it can leave it."""

from __future__ import annotations

import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from specnorm.datasets.source import LIMIT_BYTES, refuse_case_twins, refuse_missing, refuse_tricks
from specnorm.errors import IntegrityError

# bzip2 and LZMA cannot be told to stop at the declared size, so a small member could fill the memory.
_COMPRESSIONS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)


class Archive:
    """Members of a zip file; safe to read from several threads at once.

    Raises:
        IntegrityError: the file is missing, is not a zip, or is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._of_thread = threading.local()
        self._opened: list[zipfile.ZipFile] = []
        self._members: dict[str, list[zipfile.ZipInfo]] = {}
        self._folders: set[str] = set()
        for info in self._zip().infolist():
            name = _name(info)  # which may be empty, where zipfile itself cannot tell a folder
            if name.endswith("/"):
                self._folders.add(name.rstrip("/"))
            else:
                self._members.setdefault(name, []).append(info)

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file in every thread; nothing can be read afterwards."""
        for opened in self._opened:
            opened.close()

    def names(self) -> list[str]:
        """The members' names, sorted; folders are not members."""
        return sorted(self._members)

    def folders(self) -> list[str]:
        """The names of the folders that have an entry of their own, sorted; they matter where they are empty."""
        return sorted(self._folders)

    def check(self, names: Iterable[str]) -> None:
        """Refuse members that cannot be read safely, before any is read.

        Raises:
            DataError: a member is missing; the message lists the first five and the count.
            IntegrityError: a name is unsafe, stands twice or differs from another in case alone; a member is a
                symbolic link, encrypted, compressed in an unknown way, or declares too many bytes.
        """
        wanted = list(names)
        refuse_missing(wanted, self._members, where=self.path)
        refuse_case_twins(wanted, where=self.path)
        for name in wanted:
            self._info(name, LIMIT_BYTES)

    def read(self, name: str, *, limit_bytes: int = LIMIT_BYTES) -> bytes:
        """The bytes of one member; its CRC and its declared size are checked.

        Raises:
            DataError: the member is missing.
            IntegrityError: as :meth:`check`, or the bytes are not those that were packed.
        """
        info = self._info(name, limit_bytes)
        data = self._inflate(info, info.file_size + 1)
        if len(data) != info.file_size:
            raise IntegrityError("wrong size", where=self._place(name), expected=info.file_size, got=len(data))
        return data

    def head(self, name: str, count: int) -> bytes:
        """The first ``count`` bytes of one member, without inflating the rest; raises as :meth:`read`."""
        return self._inflate(self._info(name, LIMIT_BYTES), count)

    def size(self, name: str) -> int:
        """The declared length of one member in bytes; raises as :meth:`check`."""
        return self._info(name, LIMIT_BYTES).file_size

    def crc(self, name: str) -> int:
        """The CRC-32 of one member as its directory entry declares it; raises as :meth:`check`."""
        return self._info(name, LIMIT_BYTES).CRC

    def _zip(self) -> zipfile.ZipFile:
        # One file handle a thread: handles that share a position would read each other's bytes.
        opened: zipfile.ZipFile | None = getattr(self._of_thread, "zip", None)
        if opened is None:
            try:
                opened = zipfile.ZipFile(self.path)
            except FileNotFoundError:
                raise IntegrityError("missing file", where=self.path) from None
            except _BROKEN as error:
                raise IntegrityError(
                    "broken archive", where=self.path, expected="a whole zip", got=_reason(error)
                ) from error
            self._of_thread.zip = opened
            self._opened.append(opened)
        return opened

    def _info(self, name: str, limit_bytes: int) -> zipfile.ZipInfo:
        refuse_tricks(name, where=self.path)
        found = self._members.get(name)
        if found is None:
            refuse_missing([name], (), where=self.path)
            raise AssertionError
        info, place = found[0], self._place(name)
        if len(found) > 1:
            raise IntegrityError("a member stands more than once", where=place, expected=1, got=len(found))
        if stat.S_ISLNK(info.external_attr >> 16):
            raise IntegrityError("a member is a symbolic link", where=place, expected="a file")
        if info.flag_bits & 0x1:
            raise IntegrityError("a member is encrypted", where=place, hint="Pack it without a password")
        if info.compress_type not in _COMPRESSIONS:
            kinds = " or ".join(_COMPRESSIONS.values())
            raise IntegrityError("unknown compression", where=place, expected=kinds, got=f"method {info.compress_type}")
        if info.file_size > limit_bytes:
            raise IntegrityError(
                "a member is too big", where=place, expected=f"at most {limit_bytes} bytes", got=info.file_size
            )
        return info

    def _inflate(self, info: zipfile.ZipInfo, count: int) -> bytes:
        place = self._place(_name(info))
        try:
            with self._zip().open(info) as member:
                return member.read(count)
        except _BROKEN as error:
            raise IntegrityError("broken member", where=place, got=_reason(error)) from error

    def _place(self, name: str) -> str:
        return f"{self.path}, member {name!r}"


def _name(info: zipfile.ZipInfo) -> str:
    # `filename` ends at a NUL; the name as written does not hide what follows it.
    name = info.orig_filename
    if not info.flag_bits & 0x800:
        # Info-ZIP stores UTF-8 without saying so; any other name that is not ASCII stays as zipfile reads it.
        with suppress(UnicodeError):
            return name.encode("cp437").decode("utf-8")
    return name


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
