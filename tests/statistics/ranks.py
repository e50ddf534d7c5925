"""One of several processes that reduce their statistics: `python -m tests.statistics.ranks RANK RANKS FOLDER`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from torch import distributed

from specnorm.errors import SpecnormError
from specnorm.statistics.recorder import Statistics


def batches(rank: int) -> list[torch.Tensor]:
    """What each rank sees: other levels and another number of clips."""
    generator = torch.Generator().manual_seed(rank)
    return [torch.randn(rank + 1, 1, 5, 7, generator=generator) * 10 - 40 - rank for _ in range(3)]


def seen(rank: int, *, reduced_axes: tuple[int, ...] = (0, 1, 3), bins: int = 5) -> Statistics:
    statistics = Statistics(reduced_axes=reduced_axes, floor_db=-50.0)
    for batch in batches(rank):
        statistics.update(batch[:, :, :bins])
    return statistics


CASES: dict[str, Callable[[int], Statistics]] = {
    "all": seen,
    "first saw nothing": lambda rank: seen(rank) if rank else Statistics(floor_db=-50.0),
    "last saw nothing": lambda rank: Statistics(floor_db=-50.0) if rank else seen(rank),
    "other axes": lambda rank: seen(rank, reduced_axes=(0, 1, 3) if rank else (0, 1, 2, 3)),
    "other bins": lambda rank: seen(rank, bins=5 - rank),
    "other floor": lambda rank: seen(rank) if rank else Statistics(floor_db=-60.0),
}


def main(rank: int, ranks: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=ranks,
        timeout=timedelta(seconds=120),
    )
    found: dict[str, object] = {}
    for name, make in CASES.items():
        statistics = make(rank)
        try:
            statistics.all_reduce()
            statistics.save(folder / f"{name} {rank}.json")
            found[name] = repr(statistics)
        except SpecnormError as error:
            found[name] = f"{type(error).__name__}: {error}"
    alone = distributed.new_group([0])
    statistics = seen(rank)
    try:
        statistics.all_reduce(alone)
        assert np.array_equal(statistics.mean, seen(rank).mean)
        found["a group of its own"] = repr(statistics)
    except SpecnormError as error:
        found["a group of its own"] = f"{type(error).__name__}: {error}"
    found["imported"] = sorted({"pandas", "pyarrow", "scipy", "torchaudio"} & set(sys.modules))
    (folder / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
