"""Seconds of the training statistics of a whole data set beside reading its shards once from the page cache.

`python -m benchmarks.moments` in a workspace that has `data/spectrograms/` prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

import numpy as np

from pipeline import places
from specnorm.files import sha256_file
from specnorm.params import StatisticsParams, Waveform
from specnorm.shards.store import Shards, Spectrograms, open_shards, shard_name
from specnorm.statistics import training_set

_CHUNK = 2**20


class Unchecked(Shards):
    """Shards whose digests are not computed: what the sums alone cost."""

    def parts(self, waveform: Waveform, fold: int) -> list[Spectrograms]:
        """One shard, memory-mapped as it is."""
        return [np.lib.format.open_memmap(self.folder / shard_name(waveform, fold), mode="r")]


def main(argv: list[str] | None = None) -> int:
    """Print the line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.moments", description=__doc__)
    parser.add_argument("--backwards", action="store_true", help="the kinds of work in the opposite order")
    parsed = parser.parse_args(argv)
    shards = open_shards(places.SHARDS)
    unchecked = Unchecked(shards.folder, shards.manifest, shards.clips)
    paths = [shards.folder / name for name in shards.manifest["shards"]]
    everything = StatisticsParams(fraction=1.0, seed=0)
    buffer = bytearray(_CHUNK)

    def read() -> None:
        for path in paths:
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass

    kinds: dict[str, Callable[[], object]] = {
        "read, one thread": read,
        "digest, one thread": lambda: [sha256_file(path) for path in paths],
        "sums, one thread": lambda: training_set.all_moments(unchecked, everything, workers=1),
        "sums, all cores": lambda: training_set.all_moments(unchecked, everything),
        "statistics (digest and sums), all cores": lambda: training_set.all_moments(shards, everything),
    }
    kinds["sums, all cores"]()  # the shards into the page cache, and what is imported late
    order = list(reversed(kinds)) if parsed.backwards else list(kinds)
    seconds = {kind: _seconds(kinds[kind]) for kind in order}
    megabytes = sum(path.stat().st_size for path in paths) / 1e6
    print(json.dumps({"megabytes": megabytes, "seconds": {kind: seconds[kind] for kind in kinds}}))
    return 0


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
