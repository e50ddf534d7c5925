"""Look at what the data set is read from, in every run, and say what is in it.

Reads `dataset` and the source that it names; writes `data/source/`, which changes when a name or a content in the
source does, and then the archive and all that is made of it are made anew. Run it with `python -m stages.source`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline import command, options, places, stage
from specnorm import files
from specnorm.datasets import local
from specnorm.params import Params


def work(params: Params, _: argparse.Namespace) -> None:
    options.check(Path("conf"))  # here, since DVC itself composes the parameters from them
    place = local.place_of(params.dataset, places.root())
    identity = local.identity_of(place, cache=places.cache() / "source")
    files.write_sealed(places.SOURCE / local.IDENTITY, identity)
    if place is not None:
        size = f"{identity['files']} files, {identity['bytes']} bytes"
        command.say(f"{place.name}: {size}, SHA-256 {identity['digest'][:12]}...")


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv, outputs=lambda _: [places.SOURCE])


if __name__ == "__main__":
    sys.exit(main())
