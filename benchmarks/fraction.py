"""How far estimated training statistics miss the exact ones: some clips whole, or some frames of every clip.

`python -m benchmarks.fraction data/spectrograms` prints a Markdown table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from specnorm.params import WAVEFORMS, StatisticsParams, Waveform
from specnorm.shards.store import Shards, open_shards
from specnorm.statistics import training_set
from specnorm.statistics.moments import Moments, merged
from specnorm.statistics.provenance import training_clips

HEAD = "| waveform | share | of | bin mean | bin deviation | global mean |\n|---|---|---|---|---|---|"


def by_clips(clips: list[Moments], fraction: float, seed: int) -> Moments:
    """Moments of a sample of whole clips."""
    chosen = np.random.default_rng(seed).choice(len(clips), max(1, round(fraction * len(clips))), replace=False)
    return merged([clips[index] for index in sorted(chosen)])


def by_frames(shards: Shards, waveform: Waveform, folds: list[int], fraction: float, seed: int) -> Moments:
    """Moments of a sample of every clip's frames, as the statistics stage draws it."""
    params = StatisticsParams(fraction=fraction, seed=seed)
    return merged([training_set.fold_moments(shards, waveform, fold, params) for fold in folds])


def clip_moments(shards: Shards, waveform: Waveform, folds: list[int]) -> list[Moments]:
    """Exact moments of every clip."""
    floor_db = float(10 * np.log10(shards.manifest["front_end"]["amin"]))
    return [Moments.of(clip[0], floor_db) for fold in folds for part in shards.parts(waveform, fold) for clip in part]


def row(exact: Moments, estimates: list[Moments]) -> str:
    """Absolute errors in dB: mean and largest over draws, and over bins where there are any."""
    errors = (
        [np.abs(found.mean - exact.mean) for found in estimates],
        [np.abs(found.deviation - exact.deviation) for found in estimates],
        [np.abs(found.pooled().mean - exact.pooled().mean) for found in estimates],
    )
    return " | ".join(f"{np.mean(error):.3f} (max {np.max(error):.3f})" for error in errors)


def table(shards: Shards, *, held_out_fold: int, draws: int, fractions: list[float]) -> Iterator[str]:
    """The lines of the table."""
    folds = [fold for fold in shards.folds if fold != held_out_fold]
    yield HEAD
    for waveform in WAVEFORMS:
        clips = clip_moments(shards, waveform, folds)
        exact = merged(clips)
        for fraction in fractions:
            some_clips = [by_clips(clips, fraction, seed) for seed in range(draws)]
            yield f"| {waveform} | {fraction:.0%} | the clips, whole | {row(exact, some_clips)} |"
            some_frames = [by_frames(shards, waveform, folds, fraction, seed) for seed in range(draws)]
            yield f"| {waveform} | {fraction:.0%} | every clip's frames | {row(exact, some_frames)} |"


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, help="a folder that the spectrograms stage wrote")
    parser.add_argument("--held-out-fold", type=int, default=1)
    parser.add_argument("--draws", type=int, default=20, help="random samples of each kind, with the seeds from 0")
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.1, 0.5])
    arguments = parser.parse_args(argv)
    shards = open_shards(arguments.shards)
    names = training_clips(shards, arguments.held_out_fold)
    front_end = shards.manifest["front_end"]
    print(
        f"Absolute error in dB, mean (max) over {arguments.draws} draws and, for bins, over all bins. {len(names)} "
        f"training clips (fold {arguments.held_out_fold} held out), hop {front_end['hop_length']} samples.\n"
    )
    lines = table(shards, held_out_fold=arguments.held_out_fold, draws=arguments.draws, fractions=arguments.fractions)
    for line in lines:
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
