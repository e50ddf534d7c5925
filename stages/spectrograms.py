"""Turn every clip into dB spectrograms of both waveform variants.

Reads `data/raw/` and `spectrogram`; writes `data/spectrograms/`. Run it with `python -m stages.spectrograms`.
"""

from __future__ import annotations

import argparse
import sys

from specnorm.datasets.dataset import open_dataset
from specnorm.extraction import extract
from specnorm.params import Params
from stages import runner


def work(params: Params, _: argparse.Namespace) -> None:
    with open_dataset(runner.ARCHIVE) as dataset:
        for warning in extract(dataset, params.spectrogram, runner.SHARDS):
            print(f"warning: {warning}", file=sys.stderr)
        shape = (len(dataset.clips), 1, params.spectrogram.bins, params.spectrogram.frames)
    print(f"spectrograms {shape} of each waveform variant")


def main(argv: list[str] | None = None) -> int:
    return runner.run(work, argv, outputs=lambda _: [runner.SHARDS])


if __name__ == "__main__":
    sys.exit(main())
