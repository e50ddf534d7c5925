"""Files that are whole or absent: atomic writes, digests, JSON, one writer at a time."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from specnorm.errors import IntegrityError, ResourceError

PARTIAL_SUFFIX = ".partial"
SEAL = "seal"

# A file that is written twice within its file system's clock tick looks unchanged; the coarsest ticks are of 2 s.
TICK_NS = 2 * 10**9


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path``; rename it to ``path`` when the block ends well, remove it otherwise.

    The bytes are flushed to the disk before the rename, so that a crash leaves the old file or the new one.

    Raises:
        ResourceError: the disk is full or the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as handle:
            os.fsync(handle.fileno())
        partial.replace(path)
    except OSError as error:
        raise ResourceError(
            "cannot write a file", where=path, got=error.strerror or error, hint="Free space or fix the permissions"
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with atomic_path(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 ``text`` with ``\\n`` line ends to ``path`` atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as :func:`json_text`."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """``value`` as indented JSON with sorted keys; the same value gives the same bytes."""
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        IntegrityError: the file is missing or is not JSON.
    """
    try:
        with _readable(path):
            return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise IntegrityError("unreadable file", where=path, expected="JSON", got=error) from error


def write_sealed(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON mapping with the :func:`fingerprint` of all of it under ``seal``.

    A file that makes a folder whole names the digests of the others, and nothing else could name its own.

    Args:
        path: the file.
        document: with the number of its ``format``.
    """
    write_json(path, {**document, SEAL: fingerprint(document)})


def read_sealed(path: Path, *, format: int, what: str = "manifest") -> dict[str, Any]:
    """Read what :func:`write_sealed` wrote, without the seal; white space and the order of keys are no change.

    Args:
        path: the file.
        format: the number that it must have under ``format``.
        what: what errors call it.

    Raises:
        IntegrityError: it is missing, is not such a mapping, is of another format, or is not the one that was written.
    """
    document = read_json(path)
    found = document.get("format") if isinstance(document, dict) else None
    if not isinstance(document, dict) or found != format:
        raise IntegrityError(f"wrong {what}", where=path, expected=f"format {format}", got=found)
    seal = document.pop(SEAL, None)
    try:
        content = fingerprint(document)
    except ValueError:  # Python reads NaN, which no JSON has
        content = "values that are no JSON"
    _hold(path, seal, content)
    return document


def read_checked(path: Path, sha256: object) -> bytes:
    """A file's bytes, which must have the digest that the manifest of its folder names.

    Raises:
        IntegrityError: the file is missing, cannot be read, or is not the one that was written.
    """
    with _readable(path):
        data = path.read_bytes()
    _hold(path, sha256, hashlib.sha256(data).hexdigest())
    return data


def check_file(path: Path, sha256: object, *, noted: Path | None = None) -> None:
    """Hold a file too large to be read at once to its digest; raises as :func:`read_checked`.

    Args:
        path: the file.
        sha256: its digest.
        noted: a folder for notes of what was found: a file of this inode, size and time of change, which is what DVC
            knows a file by, is not read again. One that changed a moment ago may change again within its time's
            resolution, and is not noted.
    """
    with _readable(path):
        note = None if noted is None else noted / fingerprint([str(sha256), *_identity(path)])
        if note is not None and note.exists():
            return
        changed, found = _identity(path), sha256_file(path)
        old = time.time_ns() - path.stat().st_mtime_ns > TICK_NS
    _hold(path, sha256, found)
    if note is not None and old and _identity(path) == changed:
        with suppress(OSError):  # it is read again, then
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """SHA-256 of a JSON-like value's canonical form: equal values have equal fingerprints."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def clean_partials(folder: Path) -> None:
    """Remove what an interrupted writer left in ``folder`` and below; call it under the folder's lock."""
    for partial in folder.rglob(f".*{PARTIAL_SUFFIX}"):
        partial.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Refuse a place for output that can never be written, before any work is done for it.

    Raises:
        ResourceError: the folder, or the nearest one above it that exists, is a file or is read-only.
    """
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not place.is_dir():
        raise ResourceError("cannot write to a folder", where=folder, got=f"{place}, which is a file")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ResourceError("cannot write to a folder", where=folder, got=f"{place}, which is read-only")


@contextmanager
def exclusive(path: Path, *, timeout_s: float = 0.0) -> Iterator[None]:
    """Hold the lock file ``path``; the operating system frees it when the process ends, however it ends.

    Raises:
        ResourceError: another process holds it after ``timeout_s`` seconds, or the lock cannot be made.
    """
    owner = path.with_suffix(".pid")
    lock = FileLock(path)
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=timeout_s)
            owner.write_text(str(os.getpid()))
        except Timeout:
            raise ResourceError(
                "another process is doing the same work",
                where=path.stem,
                got=f"a lock held by process {_holder(owner)}",
                hint="Wait until it has ended, then run the command again",
            ) from None
        except OSError as error:
            raise ResourceError("cannot make a lock", where=path, got=error.strerror or error) from error
        yield
    finally:
        lock.release()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise IntegrityError("missing file", where=path) from None
    except OSError as error:
        raise IntegrityError("unreadable file", where=path, got=error.strerror or error) from error


def _hold(path: Path, expected: object, found: str) -> None:
    if found != expected:
        raise IntegrityError("changed file", where=path, expected=f"SHA-256 {expected}", got=found)


def _identity(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns]


def _holder(owner: Path) -> str:
    with suppress(OSError):
        return owner.read_text() or "unknown"
    return "unknown"
