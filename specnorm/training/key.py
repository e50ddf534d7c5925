"""Which cell: what every file, folder and message of a training run calls it by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Self


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

    @classmethod
    def of(cls, metrics: Mapping[str, Any]) -> Self:
        """The key that a cell's metrics name.

        Raises:
            ValueError: one of the three is missing or of another type.
        """
        norm, fold, seed = (metrics.get(name) for name in ("norm", "fold", "seed"))
        # JSON's true and false are numbers to Python.
        if not isinstance(norm, str) or type(fold) is not int or type(seed) is not int:
            raise ValueError(f"norm {norm}, fold {fold}, seed {seed}")
        return cls(norm, fold, seed)

    @property
    def path(self) -> PurePosixPath:
        """The cell's folder, below one that holds all cells or something of each."""
        return PurePosixPath(self.norm, f"fold-{self.fold}", f"seed-{self.seed}")

    def __str__(self) -> str:
        return f"{self.norm} fold {self.fold} seed {self.seed}"
