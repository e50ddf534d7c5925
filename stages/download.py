"""Fetch, copy or generate the data set's archive and audit its table.

Reads `dataset`; writes `data/raw/`. Run it with `python -m stages.download`.
"""

from __future__ import annotations

import argparse
import sys

from pipeline import command, places, stage
from specnorm.datasets import lengths
from specnorm.datasets.acquire import acquire
from specnorm.params import Params


def work(params: Params, _: argparse.Namespace) -> None:
    info = acquire(params.dataset, places.ARCHIVE, root=places.root(), cache=places.cache() / "downloads")
    for warning in info["warnings"]:
        stage.warn(warning)
    command.say(f"{info['name']}: {info['clips']} clips, {len(info['classes'])} classes, folds {info['folds']}")
    for sentence in lengths.sentences(info["lengths"]):
        command.say(sentence)


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv, outputs=lambda _: [places.ARCHIVE])


if __name__ == "__main__":
    sys.exit(main())
