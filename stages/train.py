"""Train one cell: one mode, one held-out fold, one seed.

Reads `data/spectrograms/`, its own file of `data/normalizers/`, `model` and `train`; writes
`data/cells/<norm>/fold-<k>/seed-<s>/`. Run it with `python -m stages.train --norm global --fold 1 --seed 0`.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from pathlib import Path

import torch

from pipeline import finished, places, progress, share, stage
from specnorm import files
from specnorm.errors import ConfigurationError
from specnorm.params import Params
from specnorm.params.strict import SEEDS
from specnorm.training import cells, device, loop, memory
from specnorm.training.checkpoint import Checkpoint
from specnorm.training.key import CellKey

_CHECKPOINT_SECONDS = 10.0  # a kill costs no more work than this and an epoch


def work(params: Params, arguments: argparse.Namespace) -> None:
    key = _key(arguments)
    norm, fold, seed = key.norm, key.fold, key.seed
    started = time.perf_counter()
    memory.keep_freed()
    choice = device.choose(params.train.device, params.train.precision)

    # 1. The data, and the proof that no held-out clip shaped its own normalisation.
    shards = finished.shards(params)
    progress.begin(params, key, choice.reason, of=shards)
    normalizer = finished.normalizer(params, norm, fold, of=shards)
    training = [other for other in shards.folds if other != fold]
    cell = loop.Cell(
        fold=fold,
        seed=seed,
        classes=len(shards.classes),
        train=cells.clips_of(shards, normalizer.waveform, training),
        held_out=cells.clips_of(shards, normalizer.waveform, [fold]),
        normalizer=normalizer.build,
    )

    # 2. What the result depends on.
    origin = finished.origin(params, key, dataset=shards.dataset_digest)
    host = {
        "device": choice.device.type,
        "device_name": _device_name(choice.device),
        "precision": choice.precision,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    state = files.fingerprint([origin, host, _code()])
    checkpoint = Checkpoint(
        places.cache() / "checkpoints" / key.path / f"{state[:16]}.safetensors",
        state,
        every_s=_CHECKPOINT_SECONDS,
    )

    # 3. Train, write, forget the checkpoint.
    result = loop.train(
        cell,
        params.model,
        params.train,
        choice,
        memory_share=share.memory(os.environ),
        checkpoint=checkpoint,
        report=progress.epochs(params.train.epochs, choice.precision),
    )
    measured = {
        "train_seconds": sum(result.epoch_seconds),
        "total_seconds": time.perf_counter() - started,
        **memory.peaks(choice.device),
    }
    run = {**host, "reason": choice.reason, "epochs_run": len(result.epoch_seconds), "clips": result.clips}
    run["batch_norm"] = result.batch_norm
    run |= {name: round(value, 3) for name, value in measured.items()}
    run["ended"] = round(time.time(), 3)  # a copied or restored file's own time tells nothing
    cells.write(places.cell_folder(key), result, cell.held_out, origin, run)
    checkpoint.remove()
    progress.end(params, of=shards)


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv, outputs=_outputs, arguments=_arguments)


def _arguments(parser: argparse.ArgumentParser) -> None:
    stage.norm_argument(parser)
    parser.add_argument("--fold", required=True, type=int, help="the held-out fold")
    parser.add_argument("--seed", required=True, type=int, help="draws the initial weights and the order of clips")


def _key(arguments: argparse.Namespace) -> CellKey:
    if arguments.fold < 1:
        raise ConfigurationError("bad fold", where="--fold", expected="at least 1", got=arguments.fold)
    if arguments.seed not in SEEDS:
        raise ConfigurationError("bad seed", where="--seed", expected=f"0 to {SEEDS[-1]}", got=arguments.seed)
    return CellKey(arguments.norm, arguments.fold, arguments.seed)


def _outputs(arguments: argparse.Namespace) -> list[Path]:
    return [places.cell_folder(_key(arguments))]


def _code() -> str:
    """Digest of the code that trains: going on with other code would mix two trainings, and DVC would keep the mix."""
    sources = [*Path(loop.__file__).parent.glob("*.py"), Path(__file__)]
    return files.fingerprint({path.name: files.sha256_file(path) for path in sources})


def _device_name(chosen: torch.device) -> str:
    if chosen.type == "cuda":
        return torch.cuda.get_device_name(chosen)
    return str(torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine())


if __name__ == "__main__":
    sys.exit(main())
