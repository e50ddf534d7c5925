"""A data set's source on this machine: where it lies, and what is in it, told without reading again what is known."""

from __future__ import annotations

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from specnorm.datasets.folder import Folder
from specnorm.errors import DataError, IntegrityError
from specnorm.files import TICK_NS, fingerprint, read_sealed, sha256_file, write_sealed
from specnorm.params.dataset import DatasetParams, SyntheticParams

FORMAT = 1
IDENTITY = "identity.json"

_Stamp = list[int]  # size in bytes, times of the last change of content and of anything in ns, inode
_Known = dict[str, tuple[_Stamp, str | None]]


def place_of(params: DatasetParams, root: Path) -> Path | None:
    """Where the data set is read from; ``None`` where it is downloaded or generated.

    Args:
        params: which data set.
        root: the folder that a relative ``source`` starts from.

    Raises:
        DataError: the home folder that ``~`` stands for is not known.
    """
    if isinstance(params, SyntheticParams) or params.source is None:
        return None
    try:
        return root / Path(params.source).expanduser()
    except RuntimeError as error:
        raise DataError("missing source", where=params.source, got=error, hint="Set dataset.source") from None


def is_folder(place: Path) -> bool:
    """Whether a source is a folder, or else a file.

    Raises:
        DataError: it is neither, is not there, or cannot be looked at.
    """
    try:
        mode, reason = place.stat().st_mode, None
    except OSError as error:  # it is not there, its name is too long, its folder may not be looked into
        mode, reason = 0, error.strerror
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        expected = "a zip or a folder"
        raise DataError("missing source", where=place, expected=expected, got=reason, hint="Set dataset.source")
    return stat.S_ISDIR(mode)


def identity_of(place: Path | None, *, cache: Path, progress: bool = True) -> dict[str, Any]:
    """What a source holds: ``files``, ``bytes`` and ``digest``, of the names and contents of all of its files.

    A file is read where its size, its times or its inode are not those of the last look, and only then; what was
    written within the last two seconds is read again the next time. So a look at 100,000 known files costs no more than
    listing them, and a copy or a touched file has the identity of the original. What cannot be read counts by name.

    Args:
        place: a zip or a folder; ``None`` has an identity of its own, which never changes.
        cache: the folder where the digests of this machine's files are kept.
        progress: show a bar on a terminal where files are read.

    Raises:
        DataError: there is no file and no folder.
        ResourceError: the digests cannot be kept.
    """
    if place is None:
        return {"format": FORMAT, "files": 0, "bytes": 0, "digest": fingerprint(None)}
    paths = {_key(name): place / name for name in Folder(place).names()} if is_folder(place) else {"": place}
    kept = cache / f"{fingerprint(str(place.resolve()))[:16]}.json"
    before = _read(kept)
    looked = time.time_ns()
    found = _digests({name: (path, _stamp(path)) for name, path in paths.items()}, before, progress)
    now = {name: entry for name, entry in found.items() if max(entry[0][1:3], default=0) < looked - TICK_NS}
    if now != before:
        write_sealed(kept, {"format": FORMAT, "files": now})
    return {
        "format": FORMAT,
        "files": len(found),
        "bytes": sum(stamp[0] for stamp, _ in found.values() if stamp),
        "digest": fingerprint({name: digest for name, (_, digest) in found.items()}),
    }


def _key(name: str) -> str:
    """A name as text that every file can hold: on Unix it is bytes, which need not be UTF-8."""
    return os.fsencode(name).decode("latin-1")


def _digests(files: dict[str, tuple[Path, _Stamp]], before: _Known, progress: bool) -> _Known:
    """The stamp and the content's digest of every file; ``None`` for what is no file or cannot be read."""
    changed = [name for name, (_, stamp) in files.items() if name not in before or before[name][0] != stamp]

    def read(name: str) -> str | None:
        path, stamp = files[name]
        with suppress(OSError):
            return sha256_file(path) if stamp else None  # a pipe or a device would never end
        return None

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        read_now = tqdm(pool.map(read, changed), total=len(changed), unit="file", disable=None if progress else True)
        digests = dict(zip(changed, read_now, strict=True))
    return {
        name: (stamp, digests[name]) if name in digests else before[name] for name, (_, stamp) in sorted(files.items())
    }


def _stamp(path: Path) -> _Stamp:
    """What tells a changed file; empty where there is no regular file, or none that may be looked at."""
    with suppress(OSError):
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
    return []


def _read(path: Path) -> _Known:
    """What is known of the last look; nothing where that cannot be understood, and then all is read."""
    try:
        files = read_sealed(path, format=FORMAT)["files"]
        return {name: (stamp, digest) for name, (stamp, digest) in files.items()}
    except (IntegrityError, AttributeError, KeyError, TypeError, ValueError):
        return {}
