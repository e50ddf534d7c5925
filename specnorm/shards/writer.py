"""Shards, each written under a temporary name until it is whole, and the manifest last: it makes the folder valid."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd

from specnorm.errors import ResourceError
from specnorm.files import atomic_path, fingerprint, sha256_file, write_sealed
from specnorm.params import WAVEFORMS, Storage, Waveform
from specnorm.shards.store import FORMAT, INDEX, MANIFEST, MOMENTS, Spectrograms, shard_name


class ShardWriter:
    """Writes ``[clips, 1, bins, frames]`` row by row, in bounded memory, under a temporary name until it is whole.

    A full disk raises where it happens instead of killing the process, which a memory map would do. Leaving the
    context closes the file; only :meth:`finish` says that it is whole.
    """

    def __init__(self, partial: Path, clips: int, bins: int, frames: int, storage: Storage = "float32") -> None:
        self.shape, self.storage = (clips, 1, bins, frames), storage
        self._type = np.dtype(storage).newbyteorder("<")
        self._written = 0
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": self._type.str, "fortran_order": False, "shape": self.shape}
        )
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
        data = np.ascontiguousarray(spectrogram, dtype=self._type).data.cast("B")
        self._file.write(data)
        self._digest.update(data)
        self._written += 1

    def finish(self) -> dict[str, Any]:
        """Close the whole file; returns its entry for the manifest."""
        if self._written != self.shape[0]:
            raise ValueError(f"{self._written} of {self.shape[0]} rows were written")
        self._file.close()
        return {"sha256": self._digest.hexdigest(), "shape": list(self.shape), "dtype": self.storage}


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
    storage: Storage = "float32",
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
        storage: the type of the values in the file.
    """
    raw, standardized = (folder / shard_name(waveform, fold, part) for waveform in WAVEFORMS)
    with (
        atomic_path(raw) as first,
        atomic_path(standardized) as second,
        ShardWriter(first, clips, bins, frames, storage) as one,
        ShardWriter(second, clips, bins, frames, storage) as other,
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
    moments: dict[str, Any] | None = None,
) -> None:
    """Write the index and then the manifest, which makes the folder valid.

    Args:
        clips: a row a clip with at least clip, fold, target, label, source, row.
        shards: manifest entries by shard name, from :func:`write_part`.
        front_end: everything that determines a spectrogram's numbers.
        dataset: provenance of the clips, with their ``digest``.
        fit: what was done to the clips' lengths, by :func:`~specnorm.shards.fit.fit_of`, where it is known.
        moments: of what stood in the shards before it was rounded, JSON-like by shard name; none where nothing was.
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
    if moments:
        write_sealed(folder / MOMENTS, {"format": FORMAT, "shards": moments})
        manifest["moments"] = {"sha256": sha256_file(folder / MOMENTS)}
    write_sealed(folder / MANIFEST, manifest)
