"""A data set as the download stage leaves it: an archive, a clip table and a manifest, checked when opened."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from specnorm.datasets.archive import Archive
from specnorm.datasets.table import COLUMNS, decode_clips, encode_clips
from specnorm.errors import IntegrityError
from specnorm.files import fingerprint, read_checked, read_sealed

FORMAT = 2
ARCHIVE, CLIPS, MANIFEST = "archive.zip", "clips.csv", "dataset.json"


class Dataset:
    """Clips, their table and the facts about them; safe to read from several threads at once."""

    def __init__(self, clips: pd.DataFrame, archive: Archive, info: dict[str, Any]) -> None:
        self.clips = clips
        self.archive = archive
        self.info = info

    def __enter__(self) -> Dataset:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the archive."""
        self.archive.close()

    def read(self, member: str) -> bytes:
        """The bytes of one clip's file, by its ``member``; raises as :meth:`Archive.read`."""
        return self.archive.read(member)


def open_dataset(folder: Path) -> Dataset:
    """Open what :func:`~specnorm.datasets.acquire.acquire` wrote; close it after use.

    Raises:
        IntegrityError: a file is missing, is of another format, or is not the one that was written; the message names
            it. The bytes of the clips are checked one by one, when they are read.
        DataError: a clip of the table is not in the archive.
    """
    manifest, table, path = folder / MANIFEST, folder / CLIPS, folder / ARCHIVE
    info = read_sealed(manifest, format=FORMAT)
    data = read_checked(table, info.get("clips_sha256"))
    clips = decode_clips(data, where=table)
    archive = Archive(path)
    try:
        archive.check(clips["member"])
        content = content_digest(clips, archive)
        if content != info.get("digest"):
            raise IntegrityError("changed file", where=path, expected=f"content {info.get('digest')}", got=content)
    except BaseException:
        archive.close()
        raise
    return Dataset(clips, archive, info)


def content_digest(clips: pd.DataFrame, archive: Archive) -> str:
    """SHA-256 over the table and the CRC-32 and size of every listed clip.

    It depends on what is heard and how it is labelled, not on how the archive is packed or what its folders are called.
    """
    table = clips[[column for column in COLUMNS if column != "member"]]
    sums = [[archive.crc(member), archive.size(member)] for member in clips["member"]]
    return fingerprint({"clips": encode_clips(table).decode(), "members": sums})
