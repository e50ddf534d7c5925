"""The one way in: parameters become a folder with an archive, a clip table and a manifest."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from specnorm.datasets.archive import Archive
from specnorm.datasets.class_folders import read_class_folders
from specnorm.datasets.custom import read_csv_table, table_name
from specnorm.datasets.dataset import ARCHIVE, CLIPS, FORMAT, MANIFEST, content_digest
from specnorm.datasets.download import DownloadResult, download
from specnorm.datasets.esc50 import read_esc_table, table_member
from specnorm.datasets.folder import Folder, pack_folder
from specnorm.datasets.lengths import measure
from specnorm.datasets.local import is_folder, place_of
from specnorm.datasets.naming import dataset_name
from specnorm.datasets.source import Source
from specnorm.datasets.table import encode_clips, labels_of, lacking, refuse_lacking
from specnorm.datasets.twins import twins
from specnorm.datasets.urls import visible_url
from specnorm.errors import DataError, IntegrityError, ResourceError
from specnorm.files import atomic_path, clean_partials, sha256_file, write_bytes, write_sealed
from specnorm.params.dataset import CsvParams, DatasetParams, EscParams, FolderParams

_LocalParams = EscParams | FolderParams | CsvParams


class _Written(NamedTuple):
    """An archive in its place, and what is known about it."""

    clips: pd.DataFrame
    warnings: list[str]
    origin: str  # a URL or a base name: never a path of this machine
    md5_matches: bool | None = None  # null where nothing is published


def acquire(
    params: DatasetParams,
    out: Path,
    *,
    root: Path,
    cache: Path,
    progress: bool = True,
    complete_folds: Collection[int] = (),
) -> dict[str, Any]:
    """Write ``archive.zip``, ``clips.csv`` and, last, ``dataset.json`` to the folder ``out``.

    Args:
        params: which data set.
        out: the folder; an older data set in it is replaced.
        root: the folder that a relative ``source`` starts from.
        cache: where a download is kept for the next time.
        progress: show bars on a terminal.
        complete_folds: those that must have a clip of every class; what is written does not depend on them.

    Returns:
        What ``dataset.json`` says.

    Raises:
        DataError: the source is missing or is not what its description says, or a fold lacks a class and may not.
        IntegrityError: a file is not whole, is not the published one, or has an unsafe name.
        ResourceError: the network or the disk fails.
        ConfigurationError: the URL is not http or https.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        clean_partials(out)
        (out / MANIFEST).unlink(missing_ok=True)  # what stands here without a manifest is not a data set
    except OSError as error:
        raise ResourceError("cannot write to a folder", where=out, got=error.strerror) from error
    path = out / ARCHIVE
    if isinstance(params, EscParams) and params.source is None:
        written = _downloaded(params, path, cache, progress, complete_folds)
    elif isinstance(params, EscParams | FolderParams | CsvParams):
        written = _local(params, path, root, complete_folds)
    else:
        # Synthesis needs scipy, which no other kind does.
        from specnorm.datasets.synthetic import write_archive

        written = _Written(write_archive(params, path, progress=progress), [], "synthetic")
    return _manifest(params, written, out, progress)


def _downloaded(
    params: EscParams, path: Path, cache: Path, progress: bool, complete_folds: Collection[int]
) -> _Written:
    # The name holds the address, so that another address never finds this one's file.
    key = hashlib.sha256(visible_url(params.url).encode()).hexdigest()[:12]
    # The published facts stand in for a digest that the host does not promise.
    found = download(
        params.url,
        cache / f"esc50-{key}.zip",
        size=params.size,
        md5=params.md5,
        accept_other_bytes=params.complete,
        progress=progress,
    )
    try:
        with Archive(found.path) as archive:
            clips, warnings = _read(archive, params)
            if not found.md5_matches:
                # No digest vouches for these bytes, so every clip must show its CRC.
                for member in clips["member"]:
                    archive.read(member)
    except (DataError, IntegrityError) as error:
        if not found.md5_matches:
            found.path.unlink()
            raise _neither(params, found, error) from error
        raise
    if not found.md5_matches:
        warnings.append(
            f"the archive's md5 is {found.md5}, not the published {params.md5}; its content shows the published facts"
        )
    _refuse_gaps(clips, complete_folds, where=found.path)
    path.unlink(missing_ok=True)
    try:
        os.link(found.path, path)
    except OSError:
        _copy(found.path, path)
    return _Written(clips, warnings, visible_url(params.url), found.md5_matches)


def _neither(params: EscParams, found: DownloadResult, error: Exception) -> IntegrityError:
    return IntegrityError(
        "neither the digest nor the content is the published one",
        where=visible_url(params.url),
        expected=f"md5 {params.md5}",
        got=f"md5 {found.md5}; {error}",
        hint="The file was removed: rerun, or check dataset.url",
    )


def _local(params: _LocalParams, path: Path, root: Path, complete_folds: Collection[int]) -> _Written:
    place = place_of(params, root)
    assert place is not None
    with _opened(place) as source:
        clips, warnings = _read(source, params)
        tables = _tables(source, params)
        _refuse_gaps(clips, complete_folds, where=", ".join([str(place), *tables]))
        if isinstance(source, Folder):
            pack_folder(place, [*clips["member"], *tables], path)
            return _Written(clips, warnings, place.resolve().name)
    _copy(place, path)
    return _Written(clips, warnings, place.name)


@contextmanager
def _opened(place: Path) -> Iterator[Source]:
    if is_folder(place):
        yield Folder(place)
    else:
        with Archive(place) as archive:
            yield archive


def _read(source: Source, params: _LocalParams) -> tuple[pd.DataFrame, list[str]]:
    if isinstance(params, EscParams):
        return read_esc_table(source, params)
    return read_csv_table(source, params) if isinstance(params, CsvParams) else read_class_folders(source, params)


def _tables(source: Source, params: _LocalParams) -> list[str]:
    if isinstance(params, EscParams):
        return [table_member(source)]
    return [table_name(source, params)] if isinstance(params, CsvParams) else []


def _copy(source: Path, path: Path) -> None:
    # The bytes alone: a read-only source must not make a read-only copy.
    with atomic_path(path) as partial:
        shutil.copyfile(source, partial)


def _manifest(params: DatasetParams, written: _Written, out: Path, progress: bool) -> dict[str, Any]:
    path, clips = out / ARCHIVE, written.clips
    table = encode_clips(clips)
    strict = isinstance(params, CsvParams | FolderParams) and params.strict_labels
    with Archive(path) as archive:
        archive.check(clips["member"])
        digest = content_digest(clips, archive)
        warnings = [*written.warnings, *_gaps(clips), *twins(clips, archive, strict=strict, where=written.origin)]
        lengths = measure(archive, clips["member"], progress=progress)
    info = {
        "format": FORMAT,
        "name": dataset_name(params),
        "kind": params.kind,
        "subset": params.subset if isinstance(params, EscParams) else None,
        "origin": written.origin,
        "digest": digest,
        "archive_sha256": sha256_file(path),
        "archive_bytes": path.stat().st_size,
        "clips_sha256": hashlib.sha256(table).hexdigest(),
        "md5_matches": written.md5_matches,
        "clips": len(clips),
        "classes": labels_of(clips),
        "folds": {str(fold): int(count) for fold, count in clips["fold"].value_counts().sort_index().items()},
        "sources": int(clips["source"].nunique()),
        "lengths": lengths,
        "warnings": warnings,
    }
    write_bytes(out / CLIPS, table)
    write_sealed(out / MANIFEST, info)
    return info


def _refuse_gaps(clips: pd.DataFrame, complete_folds: Collection[int], *, where: object) -> None:
    """Refuse before anything is trained what the comparison would refuse after it."""
    folds = sorted(set(clips["fold"]))
    for fold in complete_folds:
        if fold not in folds:
            raise DataError(f"no fold {fold}", where=where, expected=f"some of {', '.join(map(str, folds))}")
    refuse_lacking(clips, complete_folds, where=where)


def _gaps(clips: pd.DataFrame) -> list[str]:
    # Of every fold, whichever are held out: another protocol must not change what is written.
    return [
        f"fold {fold} has no clip of {', '.join(map(repr, labels))}: held out, it has no score of it"
        for fold, labels in lacking(clips).items()
    ]
