"""Tiny data sets and shards for tests, made by the library's own writers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from specnorm import files
from specnorm.audio.front_end import describe
from specnorm.errors import IntegrityError
from specnorm.params import WAVEFORMS, LinearParams, StatisticsParams, Waveform
from specnorm.shards import store, writer
from specnorm.statistics import training_set
from tests.faults.bad_wav import wav

Array = NDArray[np.float32]

EXACT = StatisticsParams(fraction=1.0, seed=0)
FLOOR_DB = -100.0  # of the front end's amin
LABELS = ("rain", "dog")


def front_end_params(**changes: Any) -> LinearParams:
    """A front end of 9 bins and 6 frames: 0.2 s at 1 kHz."""
    values = {
        "transform": "linear",
        "sample_rate": 1000,
        "resampler": "polyphase",
        "clip_seconds": 0.2,
        "n_fft": 16,
        "win_length": 16,
        "hop_length": 40,
        "amin": 1e-10,
        "top_db": None,
    }
    return LinearParams.model_validate(values | changes)


def levels(folds: Sequence[int] = (1, 2, 3), clips: int = 4, *, seed: int = 0, frames: int = 6) -> dict[int, Array]:
    """Plausible dB spectrograms ``[clips, 1, 9, frames]`` by fold; bins and folds differ in level, bins in spread."""
    generator = np.random.default_rng(seed)
    slope = np.linspace(0, -40, 9)[:, None]
    spread = np.linspace(2, 12, 9)[:, None]
    found = {}
    for fold in folds:
        noise = generator.standard_normal((clips, 1, 9, frames))
        found[fold] = np.maximum(slope + spread * noise - 30 + 5 * fold, FLOOR_DB).astype(np.float32)
    return found


def clip_table(folds: Mapping[int, int]) -> pd.DataFrame:
    """The index of a data set with so many clips in each fold, fold by fold."""
    rows = [
        {
            "clip": f"{fold}-{number}.wav",
            "fold": fold,
            "target": number % 2,
            "label": LABELS[number % 2],
            "source": f"s{fold}-{number}",
            "row": number,
        }
        for fold, clips in folds.items()
        for number in range(clips)
    ]
    return pd.DataFrame(rows)


def write_shards(
    folder: Path,
    raw: Mapping[int, Array],
    standardized: Mapping[int, Array] | None = None,
    *,
    digest: str = "of the clips",
    **front_end: Any,
) -> store.Shards:
    """Write and open shards of both variants; the standardised one is the raw one 10 dB up where it is not given.

    Args:
        folder: where.
        raw: ``[clips, 1, bins, frames]`` by fold.
        standardized: likewise.
        digest: of the data set.
        **front_end: changes to :func:`front_end_params`.
    """
    other = {fold: values + np.float32(10) for fold, values in raw.items()} if standardized is None else standardized
    entries: dict[str, Any] = {}
    for fold, values in raw.items():
        clips, _, bins, frames = values.shape
        rows: list[dict[Waveform, Array]] = [
            dict(zip(WAVEFORMS, pair, strict=True)) for pair in zip(values, other[fold], strict=True)
        ]
        entries |= writer.write_part(folder, fold, clips, bins, frames, rows)
    table = clip_table({fold: len(values) for fold, values in raw.items()})
    description = describe(front_end_params(**front_end))
    writer.write_index(folder, table, entries, front_end=description, dataset={"digest": digest})
    return store.open_shards(folder)


def fit_statistics(
    of: store.Shards, held_out_fold: int, waveform: Waveform = "raw", params: StatisticsParams = EXACT
) -> training_set.TrainingStatistics:
    """The statistics of one training set, computed as the stage does."""
    moments = {fold: training_set.fold_moments(of, waveform, fold, params) for fold in of.folds}
    bins = len(moments[of.folds[0]].count)
    frequencies = [62.5 * index for index in range(bins)]
    return training_set.training_statistics(of, waveform, moments, held_out_fold, params, frequencies)


def edit(path: Path, change: Callable[[dict[str, Any]], Any], *, sealed: bool = True) -> None:
    """Change a sealed JSON file's values, and its seal with them; without, as a bad disk or an editor leaves it.

    Numbers that JSON does not have cannot be sealed.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    if sealed:
        values.pop(files.SEAL, None)
        with suppress(ValueError):
            values[files.SEAL] = files.fingerprint(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def parquet_bomb(rows: int) -> bytes:
    """A Parquet file of one column of zeros: so small that only its own word tells how much it becomes in memory."""
    part = pa.table({"clip": pa.array(np.zeros(10**6, np.int8))})
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, part.schema, compression="zstd") as writer:
        for _ in range(rows // len(part)):
            writer.write_table(part, row_group_size=len(part))
    return buffer.getvalue()


def tree(folder: Path) -> dict[str, str]:
    """Every file below ``folder`` with its digest."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): files.sha256_file(path) for path in found}


class MemoryDataset:
    """What extraction needs of a data set, held in memory."""

    def __init__(self, clips: Mapping[tuple[str, int], Array], *, rate: int = 1000, digest: str = "of the clips"):
        """``clips`` are waveforms by name and fold, in the table's order."""
        self.info = {"digest": digest}
        self.clips = pd.DataFrame(
            [
                {
                    "clip": name,
                    "member": f"audio/{name}",
                    "fold": fold,
                    "target": number % 2,
                    "label": LABELS[number % 2],
                    "source": name,
                }
                for number, (name, fold) in enumerate(clips)
            ]
        )
        self._members = {
            f"audio/{name}": wav(waveform.astype("<f4").tobytes(), tag=3, bits=32, rate=rate)
            for (name, _), waveform in clips.items()
        }

    def read(self, member: str) -> bytes:
        """The bytes of a clip; one that was taken away is reported as the archive does."""
        try:
            return self._members[member]
        except KeyError:
            raise IntegrityError("broken member", where=member) from None

    def replace(self, member: str, data: bytes | None) -> None:
        """Put other bytes in a clip's place, or take the clip away."""
        del self._members[member]
        if data is not None:
            self._members[member] = data


def noise(samples: int = 200, *, level: float = 0.01, seed: int = 0) -> Array:
    """A waveform of white noise."""
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)
