"""From clips to shards: decode, resample, transform, write, in parallel and in bounded memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
from specnorm.params import LinearParams, MelParams, Waveform
from specnorm.shards import room, store
from specnorm.shards.fit import fit_of
from specnorm.shards.prefetch import in_order


@dataclass(frozen=True)
class _Extracted:
    spectrograms: dict[Waveform, store.Spectrograms]
    facts: dict[str, Any]


def extract(
    dataset: Dataset, params: LinearParams | MelParams, folder: Path, *, workers: int | None = None
) -> list[str]:
    """Write the shards of every fold of ``dataset`` into ``folder``; returns warnings about single clips.

    The bytes do not depend on ``workers`` (threads; all cores when not given, and fewer where memory is short): each
    clip is computed alone.

    Raises:
        ResourceError: memory or disk do not suffice; where that is known beforehand, ``folder`` is as it was.
        SpecnormError: a clip cannot be read or is not what its header says; nothing is then valid in ``folder``.
    """
    at = room.pace(params, workers or os.cpu_count() or 1)
    numbers = Counter(int(fold) for fold in dataset.clips["fold"])
    room.check_disk(params, dict(sorted(numbers.items())), folder)
    front_end = FrontEnd(params)
    store.invalidate(folder)

    def one(member: str) -> _Extracted:
        recording, waveforms = waveforms_of(dataset.read(member), params, name=member)
        facts = {
            "sample_rate_hz": recording.sample_rate,
            "seconds": len(recording.waveform) / recording.sample_rate,
            "zero_share": zero_fraction(waveforms["raw"]),
            "warnings": "; ".join(recording.warnings),
        }
        with torch.inference_mode():
            levels = {name: front_end(torch.from_numpy(wave)).numpy() for name, wave in waveforms.items()}
        # Laid out for the file here, where clips are worked on side by side: the shards have one writer.
        return _Extracted({name: np.ascontiguousarray(level) for name, level in levels.items()}, facts)

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
                facts: list[dict[str, Any]] = []

                def rows(
                    members: list[str], facts: list[dict[str, Any]] = facts
                ) -> Iterator[dict[Waveform, store.Spectrograms]]:
                    for extracted in in_order(pool, one, members, ahead=at.ahead):
                        facts.append(extracted.facts)
                        progress.update()
                        yield extracted.spectrograms

                members = [str(member) for member in clips["member"]]
                number = int(str(fold))
                entries |= store.write_fold(folder, number, len(clips), params.bins, params.frames, rows(members))
                table = clips[["clip", "fold", "target", "label", "source"]].reset_index(drop=True)
                index.append(table.assign(row=np.arange(len(clips)), **pd.DataFrame(facts)))
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
    store.write_index(folder, table, entries, front_end=describe(params), dataset=provenance, fit=fit)
    return _warnings(table)


def _warnings(table: pd.DataFrame) -> list[str]:
    silent = table.loc[table["zero_share"] == 1.0, "clip"]
    found = [f"clip {name} is digital silence from end to end" for name in silent]
    strange = table.loc[table["warnings"] != "", ["clip", "warnings"]]
    return found + [f"clip {row.clip}: {row.warnings}" for row in strange.itertuples()]
