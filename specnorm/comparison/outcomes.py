"""The predictions that a comparison is of: every mode's for the same clips, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specnorm.shards.store import Shards
from specnorm.training.cells import StoredCell
from specnorm.training.key import CellKey
from specnorm.training.scores import right

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]


@dataclass(frozen=True)
class Outcomes:
    """Held-out predictions of every mode for the same clips.

    Args:
        targets: ``[clips]``, 0 to classes - 1.
        folds: ``[clips]``, the fold that held the clip out.
        recordings: ``[clips]``, a number from 0 without gaps for each source recording.
        probabilities: ``[seeds, clips, classes]`` for each mode.
        total_clips: of the data set, where some folds were never held out.
    """

    targets: _Int
    folds: _Int
    recordings: _Int
    probabilities: Mapping[str, _Float]
    total_clips: int

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(next(iter(self.probabilities.values())).shape[-1])

    @property
    def recording_count(self) -> int:
        """Number of source recordings."""
        return int(self.recordings.max()) + 1

    def right(self, mode: str) -> _Float:
        """Share of the seeds that get each clip right ``[clips]``."""
        return self._rights[mode]

    @cached_property
    def _rights(self) -> dict[str, _Float]:
        return {
            mode: np.mean([right(each, self.targets) for each in runs], axis=0)
            for mode, runs in self.probabilities.items()
        }


def gather(stored: Sequence[StoredCell], shards: Shards) -> Outcomes:
    """The predictions of cells that the comparison has found whole and complete, clip by clip."""
    by_key = {cell.key: cell for cell in stored}
    modes, seeds = dict.fromkeys(key.norm for key in by_key), dict.fromkeys(key.seed for key in by_key)
    clips = held_out_clips(stored, shards)
    folds = [int(fold) for fold in clips["fold"].unique()]
    recordings, _ = pd.factorize(clips["source"])
    return Outcomes(
        targets=clips["target"].to_numpy(np.int64),
        folds=clips["fold"].to_numpy(np.int64),
        recordings=recordings.astype(np.int64),
        probabilities={
            mode: np.stack(
                [np.concatenate([by_key[CellKey(mode, fold, seed)].probabilities for fold in folds]) for seed in seeds]
            )
            for mode in modes
        },
        total_clips=len(shards.clips),
    )


def held_out_clips(stored: Sequence[StoredCell], shards: Shards) -> pd.DataFrame:
    """The clips of the held-out folds, fold by fold in the order of their shards' rows."""
    folds = sorted({cell.key.fold for cell in stored})
    return pd.concat([shards.of_fold(fold) for fold in folds], ignore_index=True)
