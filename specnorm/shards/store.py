"""Spectrograms on disk: NPY shards, one a waveform variant and part of a fold, an index and a manifest written last."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, count, takewhile
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from specnorm.errors import DataError, IntegrityError, ResourceError
from specnorm.files import atomic_path, check_file, fingerprint, read_checked, read_sealed, sha256_file, write_sealed
from specnorm.params import WAVEFORMS, Waveform
from specnorm.refusal import typed
from specnorm.shards.parquet import Kind, check_columns, read_table

FORMAT = 2
MANIFEST = "manifest.json"
INDEX = "clips.parquet"
_COLUMNS: dict[str, Kind] = {
    "clip": "text",
    "fold": "a whole number",
    "target": "a whole number",
    "label": "text",
    "source": "text",
    "row": "a whole number",
}
Spectrograms = NDArray[np.float32]


class ShardWriter:
    """Writes ``[clips, 1, bins, frames]`` row by row, in bounded memory, under a temporary name until it is whole.

    A full disk raises where it happens instead of killing the process, which a memory map would do. Leaving the
    context closes the file; only :meth:`finish` says that it is whole.
    """

    def __init__(self, partial: Path, clips: int, bins: int, frames: int) -> None:
        self.shape = (clips, 1, bins, frames)
        self._written = 0
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": self.shape})
        self._digest = hashlib.sha256(header.getvalue())
        self._file = partial.open("wb")
        self._file.write(header.getvalue())  # into the buffer: a full disk is met later, where the file gets closed

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what is left to write is lost already
            self._file.close()

    def append(self, spectrogram: Spectrograms) -> None:
        """Add one clip, ``[1, bins, frames]`` float32 in dB."""
        if spectrogram.shape != self.shape[1:] or self._written == self.shape[0]:
            raise ValueError(f"row {self._written} of {self.shape}: got shape {spectrogram.shape}")
        data = np.ascontiguousarray(spectrogram, dtype="<f4").data.cast("B")
        self._file.write(data)
        self._digest.update(data)
        self._written += 1

    def finish(self) -> dict[str, Any]:
        """Close the whole file; returns its entry for the manifest."""
        if self._written != self.shape[0]:
            raise ValueError(f"{self._written} of {self.shape[0]} rows were written")
        self._file.close()
        return {"sha256": self._digest.hexdigest(), "shape": list(self.shape), "dtype": "float32"}


def shard_name(waveform: Waveform, fold: int, part: int = 0) -> str:
    """Path of a shard below the shards' folder.

    >>> shard_name("raw", 1), shard_name("raw", 1, 2)
    ('raw/fold-1.npy', 'raw/fold-1.2.npy')
    """
    return f"{waveform}/fold-{fold}.npy" if part == 0 else f"{waveform}/fold-{fold}.{part}.npy"


def invalidate(folder: Path) -> None:
    """Remove the manifest of an earlier build: from here until :func:`write_index` the folder is not valid.

    Raises:
        ResourceError: it cannot be removed.
    """
    manifest = folder / MANIFEST
    try:
        manifest.unlink(missing_ok=True)
    except OSError as error:
        raise ResourceError("cannot remove a file", where=manifest, got=error.strerror) from error


def write_part(
    folder: Path,
    fold: int,
    clips: int,
    bins: int,
    frames: int,
    rows: Iterable[dict[Waveform, Spectrograms]],
    *,
    part: int = 0,
) -> dict[str, Any]:
    """Write the shards of a part of a fold, all waveform variants at once; returns their manifest entries by name.

    Args:
        folder: of the shards.
        fold: which.
        clips: how many there are in the part.
        bins: of a spectrogram.
        frames: of a spectrogram.
        rows: for each clip, in order, its spectrogram ``[1, bins, frames]`` for each variant.
        part: its number from 0 on.
    """
    raw, standardized = (folder / shard_name(waveform, fold, part) for waveform in WAVEFORMS)
    with (
        atomic_path(raw) as first,
        atomic_path(standardized) as second,
        ShardWriter(first, clips, bins, frames) as one,
        ShardWriter(second, clips, bins, frames) as other,
    ):
        writers = dict(zip(WAVEFORMS, (one, other), strict=True))
        for row in rows:
            for waveform, writer in writers.items():
                writer.append(row[waveform])
        return {shard_name(waveform, fold, part): writer.finish() for waveform, writer in writers.items()}


def write_index(
    folder: Path,
    clips: pd.DataFrame,
    shards: dict[str, Any],
    *,
    front_end: dict[str, Any],
    dataset: dict[str, Any],
    fit: dict[str, Any] | None = None,
) -> None:
    """Write the index and then the manifest, which makes the folder valid.

    Args:
        clips: a row a clip with at least clip, fold, target, label, source, row.
        shards: manifest entries by shard name, from :func:`write_part`.
        front_end: everything that determines a spectrogram's numbers.
        dataset: provenance of the clips, with their ``digest``.
        fit: what was done to the clips' lengths, by :func:`~specnorm.shards.fit.fit_of`, where it is known.
    """
    with atomic_path(folder / INDEX) as partial:
        clips.to_parquet(partial, index=False)
        index_digest = sha256_file(partial)
    manifest = {
        "format": FORMAT,
        "shards": shards,
        "index": {"sha256": index_digest, "clips": len(clips)},
        "front_end": front_end,
        "front_end_fingerprint": fingerprint(front_end),
        "dataset": dataset,
        "fit": fit,
    }
    write_sealed(folder / MANIFEST, manifest)


@dataclass(frozen=True)
class Shards:
    """A verified view of a shards' folder.

    Attributes:
        folder: of the shards.
        manifest: what it says of itself.
        clips: a row a clip.
        checked: where it is noted which files have been held to their digests on this machine; ``None`` notes nothing.
    """

    folder: Path
    manifest: dict[str, Any]
    clips: pd.DataFrame
    checked: Path | None = None

    @property
    def folds(self) -> list[int]:
        """The folds that have clips, in order."""
        return sorted(int(fold) for fold in self.clips["fold"].unique())

    @property
    def classes(self) -> list[str]:
        """Labels in the order of their targets."""
        pairs = self.clips[["target", "label"]].drop_duplicates().sort_values("target")
        return [str(label) for label in pairs["label"]]

    @property
    def front_end_fingerprint(self) -> str:
        """Fingerprint of the front end that made the spectrograms."""
        return str(self.manifest["front_end_fingerprint"])

    @property
    def dataset_digest(self) -> str:
        """Digest of the clips and labels that the spectrograms were made of."""
        return str(self.manifest["dataset"]["digest"])

    @property
    def fit(self) -> dict[str, Any] | None:
        """What was done to the clips' lengths; ``None`` in shards that do not tell."""
        fit: dict[str, Any] | None = self.manifest.get("fit")
        return fit

    def of_fold(self, fold: int) -> pd.DataFrame:
        """The fold's clips in the order of its shards' rows."""
        return self.clips[self.clips["fold"] == fold].sort_values("row", ignore_index=True)

    def parts(self, waveform: Waveform, fold: int) -> list[Spectrograms]:
        """A fold's shards, each ``[clips, 1, bins, frames]``, memory-mapped, after their digests were checked.

        Raises:
            IntegrityError: a shard is missing, or its bytes, shape or type are not those of the manifest.
            DataError: the data set has no such fold.
        """
        return [self._shard(name) for name, _ in self._named(waveform, fold)]

    def rows(self, waveform: Waveform, fold: int, rows: Sequence[int]) -> Spectrograms:
        """Some clips of a fold by their rows ``[rows, 1, bins, frames]``; raises as :meth:`parts`."""
        named = self._named(waveform, fold)
        shape = self.manifest["shards"][named[0][0]]["shape"]
        found = np.empty((len(rows), *shape[1:]), np.float32)
        wanted = np.asarray(rows, np.int64)
        for name, own in named:  # a part that no row is of is not read
            places = np.flatnonzero((wanted >= own.start) & (wanted < own.stop))
            if len(places):
                found[places] = self._shard(name)[wanted[places] - own.start]
        return found

    def _named(self, waveform: Waveform, fold: int) -> list[tuple[str, range]]:
        """A fold's shards by their names, with their rows."""
        entries = self.manifest["shards"]
        names = list(takewhile(entries.__contains__, (shard_name(waveform, fold, part) for part in count())))
        if not names:
            got = shard_name(waveform, fold)
            raise DataError("no such shard", where=self.folder / MANIFEST, expected=f"folds {self.folds}", got=got)
        ends = list(accumulate(entries[name]["shape"][0] for name in names))
        clips = len(self.of_fold(fold))
        if ends[-1] != clips:
            where = self.folder / names[-1]
            raise IntegrityError("wrong shard", where=where, expected=f"the {clips} clips of fold {fold}", got=ends[-1])
        return [(name, range(first, end)) for name, first, end in zip(names, [0, *ends], ends, strict=False)]

    def _shard(self, name: str) -> Spectrograms:
        path, entry = self.folder / name, self.manifest["shards"][name]
        check_file(path, entry["sha256"], noted=self.checked)
        # A digest proves that the file is the manifest's, not that either is ours.
        try:
            array: Spectrograms = np.lib.format.open_memmap(path, mode="r")  # NPY only, and no objects
        except Exception as error:  # of a header that is no Python: SyntaxError, TokenError, OverflowError, ...
            raise IntegrityError("wrong shard", where=path, expected="an NPY array", got=error) from error
        expected, found = ("float32", entry["shape"]), (str(array.dtype), list(array.shape))
        if found != expected:
            raise IntegrityError("wrong shard", where=path, expected=expected, got=found)
        return array


def open_shards(folder: Path, *, checked: Path | None = None) -> Shards:
    """Open a folder of shards.

    Args:
        folder: of the shards.
        checked: a folder for notes of which shards were held to their digests; one that has not changed since is not
            read for it again. Nothing is noted where it is not given.

    Raises:
        IntegrityError: there is no manifest (the folder was never finished), or it or the index was changed, or says
            what cannot be.
    """
    path = folder / INDEX
    manifest = read_sealed(folder / MANIFEST, format=FORMAT)
    said = typed(_Manifest, manifest, what="damaged manifest", where=folder / MANIFEST)
    clips = read_table(read_checked(path, said.index.sha256), rows=said.index.clips, where=path)
    check_columns(clips, _COLUMNS, where=path)
    for fold, rows in clips.groupby("fold")["row"]:
        if sorted(rows) != list(range(len(rows))):
            raise IntegrityError("wrong index", where=path, expected=f"rows from 0 on of fold {fold}")
    targets = clips[["target", "label"]].drop_duplicates()["target"]
    if sorted(targets) != list(range(len(targets))):
        raise IntegrityError("wrong index", where=path, expected="a label for every target, from 0 on")
    return Shards(folder, manifest, clips, checked)


class _Entry(BaseModel):
    sha256: str
    shape: Annotated[list[int], Field(min_length=4, max_length=4)]


class _Index(BaseModel):
    sha256: str
    clips: Annotated[int, Field(ge=1)]


class _FrontEnd(BaseModel):
    amin: Annotated[float, Field(gt=0)]


class _Dataset(BaseModel):
    digest: str


class _Amounts(BaseModel):
    clips: int
    median_seconds: float | None
    largest_seconds: float | None


class _Fit(BaseModel):
    clips: int
    clip_seconds: float
    cut: _Amounts
    padded: _Amounts


class _Manifest(BaseModel):
    """What is read of a manifest here; the rest of it is for those who know more of front ends and data sets."""

    shards: dict[str, _Entry]
    index: _Index
    front_end: _FrontEnd
    front_end_fingerprint: str
    dataset: _Dataset
    fit: _Fit | None = None
