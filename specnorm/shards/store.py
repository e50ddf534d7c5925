"""Spectrograms on disk: NPY shards, one a waveform variant and part of a fold, an index, and a manifest of them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, count, takewhile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from specnorm.errors import DataError, IntegrityError
from specnorm.files import check_file, read_checked, read_sealed
from specnorm.params import Storage, Waveform
from specnorm.refusal import typed
from specnorm.shards.parquet import Kind, check_columns, read_table

FORMAT = 2
MANIFEST = "manifest.json"
INDEX = "clips.parquet"
MOMENTS = "moments.json"
_COLUMNS: dict[str, Kind] = {
    "clip": "text",
    "fold": "a whole number",
    "target": "a whole number",
    "label": "text",
    "source": "text",
    "row": "a whole number",
}
Spectrograms = NDArray[np.floating]


def shard_name(waveform: Waveform, fold: int, part: int = 0) -> str:
    """Path of a shard below the shards' folder.

    >>> shard_name("raw", 1), shard_name("raw", 1, 2)
    ('raw/fold-1.npy', 'raw/fold-1.2.npy')
    """
    return f"{waveform}/fold-{fold}.npy" if part == 0 else f"{waveform}/fold-{fold}.{part}.npy"


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

    def moments(self, waveform: Waveform, fold: int) -> list[dict[str, Any]] | None:
        """Of each of a fold's shards before it was rounded, as they were given; ``None`` where nothing was.

        Raises:
            IntegrityError: they are damaged, or lack a shard.
        """
        stored = self._moments
        if stored is None:
            return None
        try:
            return [stored[name] for name, _ in self._named(waveform, fold)]
        except KeyError as error:
            where = self.folder / MOMENTS
            raise IntegrityError("moments of other shards", where=where, expected=f"those of {error}") from error

    @cached_property
    def _moments(self) -> dict[str, Any] | None:
        """By shard name, of all folds: one file, read once."""
        said = self.manifest.get("moments")
        if said is None:
            return None
        path = self.folder / MOMENTS
        check_file(path, said["sha256"], noted=self.checked)
        stored: dict[str, Any] = read_sealed(path, format=FORMAT, what="moments")["shards"]
        return stored

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
        clips = int((self.clips["fold"] == fold).sum())
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
        expected, found = (entry["dtype"], entry["shape"]), (str(array.dtype), list(array.shape))
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
    dtype: Storage
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


class _Moments(BaseModel):
    sha256: str


class _Manifest(BaseModel):
    """What is read of a manifest here; the rest of it is for those who know more of front ends and data sets."""

    shards: dict[str, _Entry]
    index: _Index
    front_end: _FrontEnd
    front_end_fingerprint: str
    dataset: _Dataset
    fit: _Fit | None = None
    moments: _Moments | None = None
