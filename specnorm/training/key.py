"""Which cell: what every file, folder and message of a training run calls it by, and the files that tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

FORMAT = 1
METRICS_FILE = "metrics.json"  # what it scored, and what it was computed from
RUN_FILE = "run.json"  # how it was run


@dataclass(frozen=True, order=True)
class CellKey:
    """One training run: a mode, the fold that it holds out, and the seed of its draws.

    Keys are in the order of their modes' names, then folds, then seeds.

    >>> str(CellKey("global", 2, 0)), CellKey("global", 2, 0).path
    ('global fold 2 seed 0', PurePosixPath('global/fold-2/seed-0'))
    """

    norm: str
    fold: int
    seed: int

    @property
    def path(self) -> PurePosixPath:
        """The cell's folder, below one that holds all cells or something of each."""
        return PurePosixPath(self.norm, f"fold-{self.fold}", f"seed-{self.seed}")

    def __str__(self) -> str:
        return f"{self.norm} fold {self.fold} seed {self.seed}"
