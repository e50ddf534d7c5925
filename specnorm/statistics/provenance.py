"""Where a set of training statistics comes from, and so where it may be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from specnorm.errors import IntegrityError
from specnorm.files import fingerprint
from specnorm.params import Waveform

if TYPE_CHECKING:  # shards bring pandas, which whoever has statistics may do without
    from specnorm.shards.store import Shards


@dataclass(frozen=True)
class Provenance:
    """What a set of statistics was computed from, and so where it may be used."""

    waveform: Waveform
    held_out_fold: int
    folds_merged: list[int]
    clips: int
    clips_digest: str  # of the merged clips' names
    dataset_digest: str
    front_end: dict[str, Any]
    front_end_fingerprint: str
    fraction: float  # share of every clip's frames
    seed: int  # of the choice of frames; 0 where all are used

    def check(self, shards: Shards, held_out_fold: int, where: object) -> None:
        """Refuse statistics that do not belong to this training set.

        Raises:
            IntegrityError: another front end, another data set, or a held-out clip among the merged ones.
        """
        expected = training_clips(shards, held_out_fold)
        facts = [
            ("front end", shards.front_end_fingerprint, self.front_end_fingerprint),
            ("data set", shards.dataset_digest, self.dataset_digest),
            ("held-out fold", held_out_fold, self.held_out_fold),
            ("merged folds", [fold for fold in shards.folds if fold != held_out_fold], self.folds_merged),
            ("number of clips", len(expected), self.clips),
            ("clips", clips_digest(expected), self.clips_digest),
        ]
        for what, wanted, found in facts:
            if wanted != found:
                raise IntegrityError(f"statistics of another {what}", where=where, expected=wanted, got=found)


def training_clips(shards: Shards, held_out_fold: int) -> list[str]:
    """Names of the clips outside the held-out fold, in order."""
    return sorted(str(clip) for clip in shards.clips.loc[shards.clips["fold"] != held_out_fold, "clip"])


def clips_digest(names: list[str]) -> str:
    """Digest of a set of clips' names."""
    return fingerprint(sorted(names))
