"""A published zip on this machine: whole and verified, or absent."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from specnorm.datasets.transfer import discard_part, fetch_part
from specnorm.datasets.urls import refuse_url, visible_url
from specnorm.errors import IntegrityError, ResourceError
from specnorm.files import exclusive

LOCK_TIMEOUT_S = 3600.0  # another process may be downloading the same file over a slow line

_MAGIC = b"PK\x03\x04"


class DownloadResult(NamedTuple):
    """A zip that was downloaded, now or earlier, and its digests."""

    path: Path
    size: int  # bytes
    md5: str
    sha256: str
    md5_matches: bool  # false only where other bytes are accepted: their content needs an audit


def download(
    url: str,
    destination: Path,
    *,
    size: int | None,
    md5: str,
    accept_other_bytes: bool,
    sleep: Callable[[float], None] = time.sleep,
    progress: bool = True,
) -> DownloadResult:
    """Have the zip at ``url`` as ``destination``; a valid file that is there already costs no request.

    Processes that want the same file wait for the first. An interrupted download goes on at the next call. Nothing
    stands at ``destination`` before it is verified.

    Args:
        url: http or https; a redirect never leads from https to http.
        destination: the file; its part and its lock stand beside it.
        size: the published length in bytes, where there is one.
        md5: the published digest, 32 hexadecimal digits.
        accept_other_bytes: return a whole zip with another digest, for hosts that pack the same content anew.
        sleep: waits a number of seconds between attempts.
        progress: show a bar on a terminal.

    Raises:
        ConfigurationError: the URL is not http or https.
        ResourceError: the server cannot be reached or refuses, the disk is full, or another process holds the lock.
        IntegrityError: the bytes are too few, are not a zip, or have another digest; a part with wrong bytes is removed
            and one with too few is kept.
    """
    refuse_url(url)
    try:
        with exclusive(destination.with_name(f".{destination.name}.lock"), timeout_s=LOCK_TIMEOUT_S):
            if destination.is_file() and zipfile.is_zipfile(destination):
                present = _digests(destination, md5)
                if present.md5_matches or accept_other_bytes:
                    return present
            part = fetch_part(url, destination, sleep=sleep, progress=progress)
            try:
                found = _verified(part, url, size, md5, accept_other_bytes)
            except IntegrityError:
                discard_part(destination)
                raise
            part.replace(destination)
            discard_part(destination)
            return found._replace(path=destination)
    except OSError as error:
        raise ResourceError(
            "cannot keep a download",
            where=destination,
            got=error.strerror or error,
            hint="Free space or fix the permissions, then rerun: what came is kept",
        ) from error


def _verified(part: Path, url: str, size: int | None, md5: str, accept_other_bytes: bool) -> DownloadResult:
    where = visible_url(url)
    with part.open("rb") as handle:
        head = handle.read(60)
    if not head.startswith(_MAGIC):
        raise IntegrityError(
            "not a zip",
            where=where,
            expected=f"first bytes {_MAGIC!r}",
            got=repr(head),
            hint="A login page of the network or a moved file answers so: open the URL in a browser",
        )
    found = _digests(part, md5)
    if size is not None and found.size != size and not accept_other_bytes:
        raise IntegrityError("wrong size of a download", where=where, expected=f"{size} bytes", got=found.size)
    if not found.md5_matches and not accept_other_bytes:
        raise IntegrityError(
            "wrong digest of a download",
            where=where,
            expected=f"md5 {md5}",
            got=f"md5 {found.md5} (sha256 {found.sha256})",
            hint="The file was removed: rerun, or check dataset.md5",
        )
    if not zipfile.is_zipfile(part):
        raise IntegrityError("cut zip", where=where, expected="a directory at its end", got=f"{found.size} bytes")
    return found


def _digests(path: Path, md5: str) -> DownloadResult:
    digests = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(2**20):
            for digest in digests:
                digest.update(chunk)
    found = digests[0].hexdigest()
    return DownloadResult(path, path.stat().st_size, found, digests[1].hexdigest(), found == md5)
