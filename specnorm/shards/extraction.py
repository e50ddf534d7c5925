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
from typing import Any

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

    @property
    def files(self) -> dict[str, Path]:
        """Its shards by the names that they are kept by."""
        return {
            f"{waveform}.npy": self.folder / store.shard_name(waveform, self.fold, self.number)
            for waveform in WAVEFORMS
        }

    def write(
        self,
        held: Kept,
        members: list[str],
        params: LinearParams | MelParams,
        extracted: Iterator[_Extracted],
        done: Callable[[], object],
    ) -> dict[str, Any]:
        """Write it, keep it, and tell of it: the ``entries`` of its shards and the ``facts`` of its clips."""
        facts: list[dict[str, Any]] = []
        digests: list[str] = []

        def rows() -> Iterator[dict[Waveform, store.Spectrograms]]:
            for clip in extracted:
                facts.append(clip.facts)
                digests.append(clip.digest)
                done()
                yield clip.spectrograms

        entries = writer.write_part(
            self.folder, self.fold, len(members), params.bins, params.frames, rows(), part=self.number
        )
        told = {"entries": entries, "facts": facts}
        sha256 = {self.folder / name: entry["sha256"] for name, entry in entries.items()}
        held.keep(members, digests, {name: (path, sha256[path]) for name, path in self.files.items()}, told)
        return told


def extract(
    dataset: Dataset,
    params: LinearParams | MelParams,
    folder: Path,
    *,
    workers: int | None = None,
    kept: Path | None = None,
) -> list[str]:
    """Write the shards of every fold of ``dataset`` into ``folder``; returns warnings about single clips.

    The bytes depend on neither ``workers`` nor ``kept``: each clip is computed alone.

    Args:
        dataset: the clips.
        params: of the front end.
        folder: for the shards.
        workers: threads; all cores when not given, and fewer where memory is short.
        kept: a folder that keeps finished parts for the next run, whether this one ends well or not.

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
                for part, places in enumerate(cut(names, 4 * params.bins * params.frames)):
                    members = [names[place] for place in places]
                    made = _Part(folder, number, part)
                    told = held.take(members, partial(pool.map, digest), made.files)
                    if told is None:
                        extracted = in_order(pool, one, members, ahead=at.ahead)
                        told = made.write(held, members, params, extracted, progress.update)
                    else:
                        progress.update(len(members))
                    entries |= told["entries"]
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
    writer.write_index(folder, table, entries, front_end=describe(params), dataset=provenance, fit=fit)
    return _warnings(table)


def _warnings(table: pd.DataFrame) -> list[str]:
    silent = table.loc[table["zero_share"] == 1.0, "clip"]
    found = [f"clip {name} is digital silence from end to end" for name in silent]
    strange = table.loc[table["warnings"] != "", ["clip", "warnings"]]
    return found + [f"clip {row.clip}: {row.warnings}" for row in strange.itertuples()]
