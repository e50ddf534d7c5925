"""Fetch, copy or generate the data set's archive and audit its table.

Reads `dataset`, and `protocol.folds` and `compare.incomplete_folds` to refuse a held-out fold that lacks a class;
writes `data/raw/`. Run it with `python -m stages.download`.
"""

from __future__ import annotations

import argparse
import sys

from pipeline import places, stage
from specnorm.datasets import lengths
from specnorm.datasets.acquire import acquire
from specnorm.params import Params


def work(params: Params, _: argparse.Namespace) -> None:
    held_out = params.protocol.folds if params.compare.incomplete_folds == "refuse" else []
    cache = places.cache() / "downloads"
    info = acquire(params.dataset, places.ARCHIVE, root=places.root(), cache=cache, complete_folds=held_out)
    for warning in info["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{info['name']}: {info['clips']} clips, {len(info['classes'])} classes, folds {info['folds']}")
    for sentence in lengths.sentences(info["lengths"]):
        print(sentence)


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv, outputs=lambda _: [places.ARCHIVE])


if __name__ == "__main__":
    sys.exit(main())
