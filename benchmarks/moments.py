"""Seconds of the training statistics of one fold beside reading its shard once from the page cache.

`python -m benchmarks.moments` in a workspace that has `data/spectrograms/` prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from specnorm import statistics
from specnorm.files import sha256_file
from specnorm.params import StatisticsParams
from specnorm.shards import open_shards, shard_name
from stages import runner

_CHUNK = 2**20


def main() -> int:
    """Print the line."""
    shards = open_shards(runner.SHARDS)
    fold = shards.folds[0]
    path = shards.folder / shard_name("raw", fold)
    everything = StatisticsParams(fraction=1.0, seed=0)
    statistics.fold_moments(shards, "raw", fold, everything)  # into the page cache, and imports
    buffer = bytearray(_CHUNK)

    def read() -> None:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass

    print(
        json.dumps(
            {
                "read": _seconds(read),
                "digest": _seconds(lambda: sha256_file(path)),
                "statistics": _seconds(lambda: statistics.fold_moments(shards, "raw", fold, everything)),
                "megabytes": path.stat().st_size / 1e6,
            }
        )
    )
    return 0


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
