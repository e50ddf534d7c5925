"""Training statistics: the merged moments of the folds that a held-out fold is not among, with their provenance."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from specnorm.errors import DataError, IntegrityError
from specnorm.files import fingerprint, write_sealed
from specnorm.params import WAVEFORMS, StatisticsParams, Waveform
from specnorm.refusal import typed
from specnorm.shards.store import MOMENTS, Shards, shard_name
from specnorm.statistics import columns, part
from specnorm.statistics.moments import Moments, merged
from specnorm.statistics.provenance import Provenance, clips_digest, training_clips


@dataclass(frozen=True)
class TrainingStatistics:
    """Moments per frequency bin of one training set, and where they come from."""

    provenance: Provenance
    bins: Moments
    bin_frequencies_hz: list[float]

    @property
    def moments(self) -> Moments:
        """What a normaliser is fitted to: :attr:`bins`."""
        return self.bins

    @property
    def digest(self) -> str:
        """Of all that their file says: its seal."""
        return fingerprint(_document(self))

    @property
    def pooled(self) -> Moments:
        """The moments of all bins as one, ``[1]``."""
        return self.bins.pooled()


def fold_moments(shards: Shards, waveform: Waveform, fold: int, params: StatisticsParams) -> Moments:
    """Moments per bin of one fold, one clip at a time; reads nothing outside the fold.

    Of shards that were rounded they are those of the values before, taken when these were there (and of all frames).

    With ``fraction`` below 1 they are estimated from that share of the frames of every clip, drawn without
    replacement. Frames of all clips say more than all frames of some clips, because clips differ in level by tens of
    decibels and neighbouring frames hardly do.

    Raises:
        IntegrityError: a value is not finite; the message names the clip and the bin.
        DataError: the data set has no such fold.
    """
    stored = shards.moments(waveform, fold)
    if stored is not None:
        return merged([part.read(each, where=shards.folder / MOMENTS) for each in stored])
    names = shards.of_fold(fold)["clip"]
    parts = shards.parts(waveform, fold)  # [clips, 1, bins, frames] each
    bins, frames = parts[0].shape[-2:]
    chosen = max(1, round(params.fraction * frames)) if params.fraction < 1 else frames
    finite = np.empty((bins, frames), np.bool_)
    taken = part.PartMoments(shards.manifest["front_end"]["amin"])
    clips = ((number, clip) for number, shard in enumerate(parts) for clip in shard)
    for row, (number, spectrogram) in enumerate(clips):
        values = np.asarray(spectrogram[0])  # [bins, frames]
        if not np.isfinite(values, out=finite).all():
            frequency_bin, frame = np.argwhere(~finite)[0]
            place = shards.folder / shard_name(waveform, fold, number)
            raise IntegrityError(
                "a value is not finite",
                where=f"{place}, clip {names[row]}, bin {frequency_bin}, frame {frame}",
                got=values[frequency_bin, frame],
            )
        if chosen < frames:
            generator = np.random.default_rng([params.seed, fold, row])
            values = values[:, np.sort(generator.choice(frames, chosen, replace=False))]
        taken.add(values)
    return taken.moments


def all_moments(
    shards: Shards, params: StatisticsParams, *, workers: int | None = None
) -> dict[Waveform, dict[int, Moments]]:
    """:func:`fold_moments` of every waveform variant and fold, several at a time.

    The bits do not depend on ``workers`` (threads; all cores when not given): each fold is computed alone, and most of
    the work, the shards' digests and the sums, is done outside the interpreter's lock.

    Raises:
        IntegrityError: as :func:`fold_moments`, for the first fold that is not good; the folds that wait are dropped.
    """
    jobs = list(product(WAVEFORMS, shards.folds))
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        # One map for all of them: an error drops what waits in it.
        results = pool.map(partial(fold_moments, shards, params=params), *zip(*jobs, strict=True))
        found = dict(zip(jobs, results, strict=True))
    return {waveform: {fold: found[waveform, fold] for fold in shards.folds} for waveform in WAVEFORMS}


def training_statistics(
    shards: Shards,
    waveform: Waveform,
    moments: dict[int, Moments],
    held_out_fold: int,
    params: StatisticsParams,
    bin_frequencies_hz: list[float],
) -> TrainingStatistics:
    """Merge the moments of every fold but the held-out one.

    Raises:
        DataError: the data set has no such fold, or no clip is left to train on.
        ValueError: ``moments`` are not those of every fold.
    """
    if held_out_fold not in shards.folds:
        raise DataError("no such fold to hold out", where=shards.folder, expected=shards.folds, got=held_out_fold)
    folds = [fold for fold in shards.folds if fold != held_out_fold]
    if not set(folds) <= set(moments) <= set(shards.folds):
        raise ValueError(f"moments of folds {sorted(moments)} for a data set of folds {shards.folds}")
    names = training_clips(shards, held_out_fold)
    if not folds:
        raise DataError("no fold left to train on", where=f"fold {held_out_fold} held out", got=shards.folds)
    provenance = Provenance(
        waveform=waveform,
        held_out_fold=held_out_fold,
        folds_merged=folds,
        clips=len(names),
        clips_digest=clips_digest(names),
        dataset_digest=shards.dataset_digest,
        front_end=shards.manifest["front_end"],
        front_end_fingerprint=shards.front_end_fingerprint,
        fraction=params.fraction,
        seed=params.seed if params.fraction < 1 else 0,
    )
    return TrainingStatistics(provenance, merged([moments[fold] for fold in folds]), bin_frequencies_hz)


def write(statistics: TrainingStatistics, path: Path) -> None:
    """Write one sealed JSON file: provenance, a list a field with a value a bin, the pooled values."""
    write_sealed(path, _document(statistics))


def read(path: Path) -> TrainingStatistics:
    """Read what :func:`write` wrote.

    Raises:
        IntegrityError: the file is missing, damaged, edited, of another format, or holds impossible values.
    """
    stored = columns.read_document(path)
    provenance = typed(Provenance, stored, what="damaged statistics", where=path)
    try:
        bins, frequencies = columns.moments_of(stored)
        if frequencies is None:
            raise KeyError("frequency_hz")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise IntegrityError("damaged statistics", where=path, got=repr(error)) from error
    columns.check_possible(bins, frequencies, path)
    return TrainingStatistics(provenance, bins, frequencies)


def _document(statistics: TrainingStatistics) -> dict[str, Any]:
    return {**asdict(statistics.provenance), **columns.document(statistics.bins, statistics.bin_frequencies_hz)}
