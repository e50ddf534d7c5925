"""From clips to shards: decode, resample, transform, write, in parallel and in bounded memory."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from specnorm.audio.clip import waveforms_of
from specnorm.audio.front_end import FrontEnd, describe
from specnorm.audio.waveform import zero_fraction
from specnorm.datasets.dataset import Dataset
from specnorm.params import WAVEFORMS, LinearParams, MelParams, Waveform
from specnorm.shards import room, store, writer
from specnorm.shards.fit import fit_of
from specnorm.shards.kept import Kept
from specnorm.shards.parts import cut
from specnorm.shards.prefetch import in_order

_FACTS = ["sample_rate_hz", "seconds", "zero_share", "warnings"]  # of a clip, in the index's order


class Measured(Protocol):
    """Moments of spectrograms that come one after the other."""

    def add(self, spectrogram: store.Spectrograms) -> None:
        """Take a clip's ``[bins, frames]``."""

    def document(self) -> dict[str, Any]:
        """The moments of all, JSON-like."""


Measure = Callable[[], Measured]


@dataclass(frozen=True)
class _Extracted:
    spectrograms: dict[Waveform, store.Spectrograms]
    facts: dict[str, Any]
    digest: str  # of the clip's bytes


@dataclass(frozen=True)
class _Part:
    """A part of a fold that is being made in a shards' folder."""

    folder: Path
    fold: int
    number: int

    def name(self, waveform: Waveform) -> str:
        """Of one of its shards."""
        return store.shard_name(waveform, self.fold, self.number)

    @property
    def files(self) -> dict[str, Path]:
        """Its shards by the names that they are kept by, whatever the part's number will be then."""
        return {f"{waveform}.npy": self.folder / self.name(waveform) for waveform in WAVEFORMS}

    def make(
        self,
        params: LinearParams | MelParams,
        clips: int,
        extracted: Iterator[_Extracted],
        measure: Measure | None,
        done: Callable[[], object],
    ) -> tuple[dict[str, Any], list[str]]:
        """Write it; ``done`` is called with every clip.

        Returns:
            What is to be told of it, the ``entries`` and ``moments`` of its shards by waveform variant and the
            ``facts`` of its clips; and the digests of these.
        """
        facts: list[dict[str, Any]] = []
        digests: list[str] = []
        measured = {waveform: measure() for waveform in WAVEFORMS} if measure else {}

        def rows() -> Iterator[dict[Waveform, store.Spectrograms]]:
            for clip in extracted:
                facts.append(clip.facts)
                digests.append(clip.digest)
                done()
                for waveform, values in measured.items():
                    values.add(clip.spectrograms[waveform][0])
                yield clip.spectrograms

        place = (self.folder, self.fold, clips, params.bins, params.frames)
        entries = writer.write_part(*place, rows(), part=self.number, storage=params.storage)
        told = {
            "entries": {waveform: entries[self.name(waveform)] for waveform in WAVEFORMS},
            "moments": {waveform: values.document() for waveform, values in measured.items()},
            "facts": facts,
        }
        return told, digests


def extract(
    dataset: Dataset,
    params: LinearParams | MelParams,
    folder: Path,
    *,
    workers: int | None = None,
    kept: Path | None = None,
    measure: Measure | None = None,
) -> list[str]:
    """Write the shards of every fold of ``dataset`` into ``folder``; returns warnings about single clips.

    The bytes depend on neither ``workers`` nor ``kept``: each clip is computed alone.

    Args:
        dataset: the clips.
        params: of the front end.
        folder: for the shards.
        workers: threads; all cores when not given, and fewer where memory is short.
        kept: a folder that keeps finished parts for the next run, whether this one ends well or not.
        measure: makes what takes the moments of a shard's spectrograms before they are rounded; none is not asked where
            nothing is.

    Raises:
        ResourceError: memory or disk do not suffice; where that is known beforehand, ``folder`` is as it was.
        SpecnormError: a clip cannot be read or is not what its header says; nothing is then valid in ``folder``.
    """
    at = room.pace(params, workers or os.cpu_count() or 1)
    numbers = Counter(int(fold) for fold in dataset.clips["fold"])
    room.check_disk(params, dict(sorted(numbers.items())), folder)
    front_end = FrontEnd(params)
    writer.invalidate(folder)

    def digest(member: str) -> str:
        return hashlib.sha256(dataset.read(member)).hexdigest()

    def one(member: str) -> _Extracted:
        data = dataset.read(member)
        recording, waveforms = waveforms_of(data, params, name=member)
        facts = {
            "sample_rate_hz": recording.sample_rate,
            "seconds": len(recording.waveform) / recording.sample_rate,
            "zero_share": zero_fraction(waveforms["raw"]),
            "warnings": "; ".join(recording.warnings),
        }
        with torch.inference_mode():
            levels = {name: front_end(torch.from_numpy(wave)).numpy() for name, wave in waveforms.items()}
        # Laid out for the file here, where clips are worked on side by side: the shards have one writer.
        ordered = {name: np.ascontiguousarray(level) for name, level in levels.items()}
        return _Extracted(ordered, facts, hashlib.sha256(data).hexdigest())

    held = Kept(kept, describe(params))
    entries: dict[str, Any] = {}
    moments: dict[str, Any] = {}
    index = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the pool is the parallelism: one clip's FFT is too small to share out
    try:
        with (
            ThreadPoolExecutor(at.workers) as pool,
            tqdm(total=len(dataset.clips), unit="clip", disable=None) as progress,
        ):
            for fold, clips in dataset.clips.groupby("fold", sort=True):
                number, names = int(str(fold)), [str(member) for member in clips["member"]]
                facts: list[dict[str, Any]] = []
                for part, places in enumerate(cut(names, room.stored_bytes(params))):
                    members = [names[place] for place in places]
                    made = _Part(folder, number, part)
                    told = held.take(members, partial(pool.map, digest), made.files)
                    if told is not None:
                        progress.update(len(members))
                    else:
                        extracted = in_order(pool, one, members, ahead=at.ahead)
                        told, digests = made.make(params, len(members), extracted, measure, progress.update)
                        sha256 = {f"{name}.npy": entry["sha256"] for name, entry in told["entries"].items()}
                        files = {name: (path, sha256[name]) for name, path in made.files.items()}
                        held.keep(members, digests, files, told)
                    entries |= {made.name(waveform): told["entries"][waveform] for waveform in WAVEFORMS}
                    moments |= {made.name(waveform): told["moments"][waveform] for waveform in told["moments"]}
                    facts += told["facts"]
                table = clips[["clip", "fold", "target", "label", "source"]].reset_index(drop=True)
                index.append(table.assign(row=np.arange(len(clips)), **pd.DataFrame(facts, columns=_FACTS)))
    except (MemoryError, RuntimeError) as error:
        shortage = room.shortage(error)
        if shortage is None:
            raise
        raise shortage from error
    finally:
        torch.set_num_threads(threads)
    table = pd.concat(index, ignore_index=True)
    # Without its name: one that is given later must leave the shards, and all that is trained on them, as they are.
    provenance = {key: value for key, value in dataset.info.items() if key != "name"}
    fit = fit_of(table["seconds"].to_list(), samples=params.samples, sample_rate=params.sample_rate)
    held.forget_others()
    writer.write_index(folder, table, entries, front_end=describe(params), dataset=provenance, fit=fit, moments=moments)
    return _warnings(table)


def _warnings(table: pd.DataFrame) -> list[str]:
    silent = table.loc[table["zero_share"] == 1.0, "clip"]
    found = [f"clip {name} is digital silence from end to end" for name in silent]
    strange = table.loc[table["warnings"] != "", ["clip", "warnings"]]
    return found + [f"clip {row.clip}: {row.warnings}" for row in strange.itertuples()]
