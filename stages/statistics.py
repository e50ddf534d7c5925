"""Compute the training statistics of every held-out fold and waveform variant.

Reads `data/spectrograms/` and `statistics`; writes `data/statistics/fold-<k>/<variant>.json`. Run it with
`python -m stages.statistics`.
"""

from __future__ import annotations

import argparse
import sys

from pipeline import finished, places, stage
from specnorm.audio.front_end import FrontEnd
from specnorm.params import Params
from specnorm.statistics import training_set


def work(params: Params, _: argparse.Namespace) -> None:
    shards = finished.shards(params)
    frequencies = FrontEnd(params.spectrogram).bin_frequencies_hz.tolist()
    for waveform, moments in training_set.all_moments(shards, params.statistics).items():
        for fold in shards.folds:
            found = training_set.training_statistics(shards, waveform, moments, fold, params.statistics, frequencies)
            training_set.write(found, places.statistics_path(fold, waveform))
            pooled = found.pooled
            print(
                f"fold {fold} held out, {waveform}: mean {pooled.mean[0]:.2f} dB, deviation "
                f"{pooled.deviation[0]:.2f} dB, {pooled.floor_share[0]:.1%} of the values at the floor"
            )


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv, outputs=lambda _: [places.STATISTICS])


if __name__ == "__main__":
    sys.exit(main())
