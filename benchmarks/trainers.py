"""One trainer in a process of its own: ours, fastai's on the same spectrograms, or fastai's from the audio each epoch.

`python -m benchmarks.trainers ours --precision bf16` in a workspace that has spectrograms and normalisers prints one
line of JSON: samples per second over the timed steps, the peak memory, and what ran.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 (the field's name for it)

from pipeline import places
from specnorm.datasets.dataset import open_dataset
from specnorm.normalization import fitted
from specnorm.params import ModelParams
from specnorm.shards.store import Shards, open_shards
from specnorm.training import cells, device, loop, memory, recipe, seeds

FOLD, MODE, PEAK = 1, "global", 1e-3
BATCH = 64  # clips


class Trainer(Protocol):
    """Trains a network on batches of one size."""

    def seconds(self, warm_up: int, steps: int) -> float:
        """How long ``steps`` optimiser steps take after ``warm_up`` others, until the device has done them."""


class Ours:
    """The engine as a cell uses it, without checkpoints and evaluation."""

    def __init__(self, shards: Shards, choice: device.Choice, variant: str, batch: int) -> None:
        memory.keep_freed()
        cell = cell_of(shards)
        self.clips = len(cell.train)
        self.choice = choice
        self.batch = batch
        self.batches, _ = loop.hold(cell, choice.device, None)
        self.model = loop.build_model(cell, ModelParams(name="xresnet18", stem_init="published")).to(choice.device)
        self.optimizer = recipe.optimizer(self.model, 0.01)
        if variant == "compiled":
            self.model.network = torch.compile(self.model.network)
        elif variant == "graphs":
            self.model.network = torch.compile(self.model.network, mode="reduce-overhead")
        torch.backends.cudnn.benchmark = variant == "tuned"

    def seconds(self, warm_up: int, steps: int) -> float:
        """See :class:`Trainer`."""
        self._train(warm_up, epoch=0)
        started = time.perf_counter()
        self._train(steps, epoch=1)
        return time.perf_counter() - started

    def _train(self, steps: int, epoch: int) -> None:
        order = seeds.clip_order(self.clips, seed=0, fold=FOLD, epoch=epoch)[: steps * self.batch]
        schedule = [recipe.one_cycle(step, steps, PEAK) for step in range(steps)]
        loop.train_epoch(self.model, self.optimizer, self.batches.training(self.batch, order), schedule, self.choice)


class Fastai:
    """fastai's ``Learner`` with ``fit_one_cycle`` over any data set of (spectrogram, target) pairs."""

    def __init__(self, dataset: Any, classes: int, choice: device.Choice, batch: int) -> None:
        import fastai.callback.schedule  # noqa: F401 (gives Learner its fit_one_cycle)
        from fastai.data.core import DataLoaders
        from fastai.data.load import DataLoader
        from fastai.learner import Learner
        from fastai.vision.models.xresnet import xresnet18

        # Worker processes beside a training that needs all cores slow both down; on a GPU they are fastai's own choice.
        workers = 0 if choice.device.type == "cpu" else min(16, os.cpu_count() or 1)
        loader = DataLoader(
            dataset,
            bs=batch,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            pin_memory=workers > 0,
            device=choice.device,
        )
        network = xresnet18(pretrained=False, c_in=1, n_out=classes)
        self.learner = Learner(DataLoaders(loader, device=choice.device), network, loss_func=F.cross_entropy)
        self.device = choice.device

    def seconds(self, warm_up: int, steps: int) -> float:
        """See :class:`Trainer`; all within one epoch, which ends before fastai would evaluate."""
        from fastai.callback.core import Callback, CancelFitException

        times: list[float] = []

        class Watch(Callback):  # type: ignore[misc]
            taken = 0

            def after_batch(watch) -> None:  # noqa: N805 (self is the trainer)
                watch.taken += 1
                if watch.taken in (warm_up, warm_up + steps):
                    if self.device.type == "cuda":
                        torch.cuda.synchronize()
                    times.append(time.perf_counter())
                if len(times) == 2:
                    raise CancelFitException

        with contextlib.redirect_stdout(io.StringIO()):  # its bar and its table
            self.learner.fit_one_cycle(1, PEAK, wd=0.01, cbs=Watch())
        return times[1] - times[0]


class CachedClips:
    """Normalised spectrograms in memory, one by one."""

    def __init__(self, shards: Shards) -> None:
        cell = cell_of(shards)
        x = torch.from_numpy(np.concatenate(cell.train.parts))
        with torch.inference_mode():
            self.x = cell.normalizer()(x).clone()
        self.y = cell.train.targets

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[index], self.y[index]


class AudioClips:
    """The published way: every time a clip is asked for it is decoded, resampled, transformed and normalised."""

    def __init__(self, shards: Shards) -> None:
        import torchaudio

        params = shards.manifest["front_end"]
        self.rate, self.samples = params["sample_rate"], round(params["clip_seconds"] * params["sample_rate"])
        self.spectrogram = torchaudio.transforms.Spectrogram(n_fft=params["n_fft"], hop_length=params["hop_length"])
        self.to_db = torchaudio.transforms.AmplitudeToDB(stype="power")
        self.normalizer = cell_of(shards).normalizer()
        dataset = open_dataset(places.ARCHIVE)
        self.clips = dataset.clips[dataset.clips["fold"] != FOLD].reset_index(drop=True)
        dataset.close()
        self.dataset: Any = None

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        import soundfile
        import torchaudio

        if self.dataset is None:  # a worker process opens its own: an open file is not shared
            self.dataset = open_dataset(places.ARCHIVE)
            torch.set_num_threads(1 if torch.utils.data.get_worker_info() else torch.get_num_threads())
        row = self.clips.iloc[index]
        samples, rate = soundfile.read(io.BytesIO(self.dataset.read(row["member"])), dtype="float32")
        wave = torchaudio.functional.resample(torch.from_numpy(samples), rate, self.rate)[: self.samples]
        wave = F.pad(wave, (0, self.samples - len(wave)))
        wave = (wave - wave.mean()) / wave.std().clamp_min(1e-9)
        with torch.no_grad():
            x = self.normalizer(self.to_db(self.spectrogram(wave))[None])
        return x, torch.tensor(int(row["target"]))


def cell_of(shards: Shards) -> loop.Cell:
    """The cell that all trainers train."""
    normalizer = fitted.read(places.normalizer_path(MODE, FOLD))
    others = [fold for fold in shards.folds if fold != FOLD]
    return loop.Cell(
        fold=FOLD,
        seed=0,
        classes=len(shards.classes),
        train=cells.clips_of(shards, normalizer.waveform, others),
        held_out=cells.clips_of(shards, normalizer.waveform, [FOLD]),
        normalizer=normalizer.build,
    )


TRAINERS: dict[str, Callable[[Shards, device.Choice, str, int], Trainer]] = {
    "ours": Ours,
    "fastai": lambda shards, choice, _, batch: Fastai(CachedClips(shards), len(shards.classes), choice, batch),
    "notebook": lambda shards, choice, _, batch: Fastai(AudioClips(shards), len(shards.classes), choice, batch),
}


def main(argv: list[str] | None = None) -> int:
    """Print the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trainer", choices=TRAINERS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--variant", default="eager", choices=["eager", "tuned", "compiled", "graphs"])
    parser.add_argument("--warm-up", type=int, default=1, help="steps before the timed ones")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, default=BATCH, help="clips a step")
    arguments = parser.parse_args(argv)
    choice = device.choose(arguments.device, arguments.precision)
    trainer = TRAINERS[arguments.trainer](open_shards(places.SHARDS), choice, arguments.variant, arguments.batch)
    seconds = trainer.seconds(arguments.warm_up, arguments.steps)
    facts = {
        "samples_per_second": arguments.steps * arguments.batch / seconds,
        "timed_seconds": seconds,
        "precision": choice.precision,
        **memory.peaks(choice.device),
    }
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
