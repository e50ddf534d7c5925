"""Folds of one's own clips: every label spread evenly over them, every group of clips whole in one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from specnorm.errors import DataError


def make_folds(
    labels: Mapping[str, str], groups: Mapping[str, str] | None, *, count: int, seed: int, where: object
) -> dict[str, int]:
    """Share clips out over ``count`` folds; the same clips in the same order and the same seed give the same folds.

    Args:
        labels: each clip's label, by the clip's name.
        groups: each clip's recording, speaker or machine, whose clips stay together; ``None`` has no groups.
        count: how many folds.
        seed: shuffles the clips.
        where: the data set's name in messages.

    Returns:
        Each clip's fold, from 1.

    Raises:
        DataError: there are fewer clips or groups than folds, or too few of every label.
    """
    # Here, since no other kind of data set needs scikit-learn.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    targets = np.array(list(labels.values()))
    wholes = None if groups is None else np.array([groups[name] for name in labels])
    units = len(labels if groups is None else set(groups.values()))
    if units < count:
        things = "clips" if groups is None else "groups"
        raise DataError(f"too few {things}", where=where, expected=f"at least {count} for {count} folds", got=units)
    splitter = (StratifiedKFold if groups is None else StratifiedGroupKFold)(
        n_splits=count, shuffle=True, random_state=seed
    )
    folds: dict[str, int] = {}
    names = list(labels)
    try:
        with warnings.catch_warnings():
            # A label with fewer clips than folds is allowed; the table refuses one that stands in a single fold.
            warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
            for fold, (_, held_out) in enumerate(splitter.split(targets, targets, wholes), start=1):
                folds.update((names[index], fold) for index in held_out)
    except ValueError as error:
        raise DataError(
            "cannot make folds", where=where, expected=f"{count} folds", got=error, hint="Lower dataset.folds"
        ) from error
    empty = set(range(1, count + 1)) - set(folds.values())
    if empty:
        raise DataError(
            "cannot make folds",
            where=where,
            expected=f"clips in each of {count} folds",
            got=f"none in fold {min(empty)}",
            hint="Lower dataset.folds",
        )
    return folds
