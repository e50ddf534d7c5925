"""Spectrograms per second, from a zip of audio files, over one fold's clips and all cores: ours beside plain loops.

`python -m benchmarks.front_end ours` in a workspace that has `data/raw/` prints one line of JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from pipeline import places
from specnorm import params
from specnorm.datasets.dataset import Dataset, open_dataset
from specnorm.shards.extraction import extract


def ours(dataset: Dataset, front_end: Any) -> int:
    """The stage's own work: both waveform variants, checked, digested and written."""
    with tempfile.TemporaryDirectory() as folder:
        extract(dataset, front_end, Path(folder))
    return 2 * len(dataset.clips)


def plain_torchaudio(dataset: Dataset, front_end: Any) -> int:
    """A loop as one would write it: one spectrogram a clip, kept in memory."""
    import torchaudio

    spectrogram = torchaudio.transforms.Spectrogram(n_fft=front_end.n_fft, hop_length=front_end.hop_length)
    to_db = torchaudio.transforms.AmplitudeToDB(stype="power")
    made = []
    for member in dataset.clips["member"]:
        samples, rate = soundfile.read(io.BytesIO(dataset.read(member)), dtype="float32")
        wave = torchaudio.functional.resample(torch.from_numpy(samples), rate, front_end.sample_rate)
        made.append(to_db(spectrogram(wave)))
    return len(made)


def plain_librosa(dataset: Dataset, front_end: Any) -> int:
    """The same loop in librosa."""
    import librosa

    made = []
    for member in dataset.clips["member"]:
        wave, _ = librosa.load(io.BytesIO(dataset.read(member)), sr=front_end.sample_rate)
        spectrum = librosa.stft(wave, n_fft=front_end.n_fft, hop_length=front_end.hop_length)
        made.append(librosa.power_to_db(np.abs(spectrum) ** 2, top_db=None))
    return len(made)


LOOPS = {"ours": ours, "torchaudio": plain_torchaudio, "librosa": plain_librosa}


def main(argv: list[str] | None = None) -> int:
    """Print the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loop", choices=LOOPS)
    parsed = parser.parse_args(argv)
    front_end = params.load(Path("params.yaml")).spectrogram
    with open_dataset(places.ARCHIVE) as dataset:
        first = dataset.clips["fold"] == dataset.clips["fold"].min()
        few, fold = (
            Dataset(table, dataset.archive, dataset.info) for table in (dataset.clips[:8], dataset.clips[first])
        )
        LOOPS[parsed.loop](few, front_end)  # imports, plans, tables
        started = time.perf_counter()
        made = LOOPS[parsed.loop](fold, front_end)
        seconds = time.perf_counter() - started
    print(json.dumps({"spectrograms_per_second": made / seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
