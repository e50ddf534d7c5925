"""Turn every clip into dB spectrograms of both waveform variants.

Reads `data/raw/` and `spectrogram`; writes `data/spectrograms/`. Run it with `python -m stages.spectrograms`.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

from pipeline import places, stage
from specnorm.datasets.dataset import open_dataset
from specnorm.params import Params
from specnorm.shards.extraction import Measure, extract
from specnorm.shards.fit import fit_sentence
from specnorm.shards.store import open_shards


def work(params: Params, _: argparse.Namespace) -> None:
    with open_dataset(places.ARCHIVE) as dataset:
        kept = places.cache() / "parts"
        for warning in extract(dataset, params.spectrogram, places.SHARDS, kept=kept, measure=_measure(params)):
            stage.warn(warning)
        shape = (len(dataset.clips), 1, params.spectrogram.bins, params.spectrogram.frames)
    told = open_shards(places.SHARDS).fit
    if told is not None:
        print(fit_sentence(told))
    print(f"spectrograms {shape} of each waveform variant")


def _measure(params: Params) -> Measure | None:
    """What takes the moments of spectrograms that are rounded for the disk."""
    if params.spectrogram.storage == "float32":
        return None
    from specnorm.statistics.part import PartMoments

    return partial(PartMoments, params.spectrogram.amin)


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv, outputs=lambda _: [places.SHARDS])


if __name__ == "__main__":
    sys.exit(main())
