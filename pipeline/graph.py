"""Draw the pipeline with every matrix as one box; `dvc dag` draws each cell. Run it with `make dag`."""

from __future__ import annotations

import sys
from collections import Counter

from dvc.dagascii import draw
from dvc.repo import Repo

from pipeline import command


def main() -> int:
    return command.run("graph", work)


def work() -> int:
    graph = Repo().index.graph  # an edge leads from a stage to one that it depends on
    counts = Counter(_group(stage.addressing) for stage in graph)
    titles = {name: name if count == 1 else f"{name} ({count})" for name, count in counts.items()}
    edges = {(titles[_group(stage.addressing)], titles[_group(needed.addressing)]) for stage, needed in graph.edges}
    command.say(draw(list(titles.values()), sorted(edges)))
    return 0


def _group(address: str) -> str:
    return address.partition("@")[0]


if __name__ == "__main__":
    sys.exit(main())
