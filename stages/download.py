"""Fetch, copy or generate the data set's archive and audit its table.

Reads `data/source/`, `dataset`, and `protocol.folds` and `compare.incomplete_folds` to refuse a held-out fold that
lacks a class; writes `data/raw/`. Run it with `python -m stages.download`.
"""

from __future__ import annotations

import argparse
import sys

from pipeline import command, places, stage
from specnorm.datasets import lengths, local
from specnorm.datasets.acquire import acquire
from specnorm.datasets.dataset import MANIFEST
from specnorm.errors import DataError
from specnorm.files import read_sealed
from specnorm.params import Params


def work(params: Params, _: argparse.Namespace) -> None:
    identity = read_sealed(places.SOURCE / local.IDENTITY, format=local.FORMAT)
    held_out = params.protocol.folds if params.compare.incomplete_folds == "refuse" else []
    cache = places.cache() / "downloads"
    info = acquire(params.dataset, places.ARCHIVE, root=places.root(), cache=cache, complete_folds=held_out)
    # What DVC takes for the origin of the archive must be it, also where somebody edits the source at this moment.
    place = local.place_of(params.dataset, places.root())
    if local.identity_of(place, cache=places.cache() / "source") != identity:
        (places.ARCHIVE / MANIFEST).unlink()
        told = f"what {places.SOURCE / local.IDENTITY} says"
        raise DataError("the source has changed", where=place, expected=told, hint="Run `dvc repro` again")
    for warning in info["warnings"]:
        stage.warn(warning)
    command.say(f"{info['name']}: {info['clips']} clips, {len(info['classes'])} classes, folds {info['folds']}")
    for sentence in lengths.sentences(info["lengths"]):
        command.say(sentence)


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv, outputs=lambda _: [places.ARCHIVE])


if __name__ == "__main__":
    sys.exit(main())
