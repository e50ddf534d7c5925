"""For whom a comparison speaks: new recordings of the same kind, or new speakers, machines, places."""

from __future__ import annotations

import numpy as np

from specnorm.comparison.outcomes import Outcomes
from specnorm.params.dataset import DatasetParams

FEW = 10  # groups in a fold, below which they are named as what the answer is about

_RECORDINGS, _GROUPS = "source recordings", "groups"


def told_by(params: DatasetParams) -> str | None:
    """What the data set tells clips that belong together by; ``None`` where it was not told.

    A column's name says what the groups are, ``speaker`` or ``machine``; of a pattern there is no name for them.
    """
    if params.kind != "csv" and params.kind != "folder":
        return _RECORDINGS
    if params.kind == "csv":
        return params.group_column
    return None if params.group_pattern is None else _GROUPS


def counted(number: int, groups: str | None) -> str:
    """A number of what is drawn together, in words.

    Args:
        number: of recordings, speakers, machines.
        groups: from :func:`told_by`.

    >>> counted(600, "source recordings"), counted(12, "speaker")
    ('600 recordings', '12 groups by speaker')
    """
    if groups is None or groups == _RECORDINGS:
        return f"{number} recordings"
    return f"{number} groups" if groups == _GROUPS else f"{number} groups by {groups}"


def sentence(found: Outcomes, groups: str | None) -> str | None:
    """For whom the answer speaks, without a full stop; ``None`` where it goes without saying.

    Args:
        found: the predictions.
        groups: from :func:`told_by`.
    """
    if groups is None:
        return (
            "Which clips belong to one recording, speaker or machine was not told (dataset.group_column or "
            "dataset.group_pattern): if there are such, clips of one may lie in several folds, every mode looks better "
            "than it is, and the intervals are too narrow"
        )
    if groups == _RECORDINGS:
        return None
    folds = np.unique(found.folds)
    most = max(len(np.unique(found.recordings[found.folds == fold])) for fold in folds)
    if most >= FEW:
        return None
    whole = len(np.unique(found.recordings))
    return (
        f"The held-out folds hold few groups ({whole} by {groups}, at most {most} a fold), so the intervals are those "
        f"for new ones ({groups}), as far as the spread between folds tells; for new clips of these {whole} they would "
        "be narrower"
    )
