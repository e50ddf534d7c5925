"""Held-out folds without a clip of some class: which scores they have, and how that is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from specnorm.errors import DataError
from specnorm.shards.store import INDEX, Shards


def lacking(shards: Shards, folds: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """The classes that each of the folds has no clip of; folds that have all are left out."""
    found = {}
    for fold in sorted(set(folds)):
        there = set(shards.of_fold(fold)["label"])
        if absent := tuple(label for label in shards.classes if label not in there):
            found[fold] = absent
    return found


def refuse(shards: Shards, folds: Iterable[int]) -> None:
    """Refuse held-out folds that lack a class.

    Raises:
        DataError: one does; the message names it and the classes.
    """
    for fold, labels in lacking(shards, folds).items():
        raise DataError(
            f"fold {fold} has no clip of class {_listed(labels)}",
            where=shards.folder / INDEX,
            expected="every class in every held-out fold",
            hint="Hold out other folds, add clips, or set compare.incomplete_folds=accept",
        )


def sentences(absent: Mapping[int, tuple[str, ...]]) -> list[str]:
    """What a reader of the scores must know of every fold that lacks a class, each without a full stop.

    Accuracy, log loss and calibration error are means over the fold's clips and exist as ever. Macro F1 is the mean
    over the classes that are there (:data:`specnorm.comparison.metrics.METRICS`). There is no recall of a class that no
    held-out fold has.
    """
    return [
        f"Fold {fold} has no clip of {_listed(labels)}: its macro F1 is the mean over the classes that it has, "
        f"and none of its figures says anything of {'that class' if len(labels) == 1 else 'those classes'}"
        for fold, labels in absent.items()
    ]


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(map(repr, labels))
