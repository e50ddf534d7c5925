"""The clip table: one row a clip, in one canonical order, whatever data set it describes."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from specnorm.errors import DataError, IntegrityError


class Clip(NamedTuple):
    """One row of the clip table; the fields are its columns."""

    clip: str  # unique name: the file's path below the audio folder
    member: str  # the file's path in the archive
    fold: int  # from 1
    target: int  # from 0, without gaps
    label: str  # what the target means
    source: str  # the recording that the clip is cut from; clips of one source share a fold


COLUMNS = Clip._fields
_TEXT = {"clip": str, "member": str, "label": str, "source": str}
_NUMBERS = {"fold": "int64", "target": "int64"}


def clip_table(clips: Iterable[Clip], *, where: object) -> pd.DataFrame:
    """Build the canonical table: sorted by fold and clip name, checked to be fit for cross-validation.

    Args:
        clips: the rows, in any order.
        where: the data set's name in messages.

    Returns:
        A table with the columns of :class:`Clip`; ``fold`` and ``target`` are int64, the others text.

    Raises:
        DataError: a clip stands twice, a target has two labels or a label two targets, the targets have a gap, or there
            are fewer than two labels, two folds, or two folds with clips of one label.
    """
    rows = sorted(clips, key=lambda row: (row.fold, row.clip))
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({**_TEXT, **_NUMBERS})
    for column in ("clip", "member"):
        twins = table.loc[table[column].duplicated(), column]
        if len(twins):
            raise DataError(f"a {column} stands twice", where=where, got=repr(twins.iloc[0]))
    pairs = table[["target", "label"]].drop_duplicates().sort_values("target")
    if list(pairs["target"]) != list(range(len(pairs))) or pairs["label"].duplicated().any():
        got = ", ".join(f"{target} {label!r}" for target, label in pairs.itertuples(index=False))
        raise DataError("bad targets", where=where, expected="one label a target, from 0 without gaps", got=got)
    _refuse_few(table["label"].nunique(), "labels", where)
    _refuse_few(table["fold"].nunique(), "folds", where)
    spread = table.groupby("label")["fold"].nunique()
    for label in spread.index[spread < 2]:
        fold = table.loc[table["label"] == label, "fold"].iloc[0]
        raise DataError(
            f"label {label!r} stands in one fold",
            where=where,
            expected="clips in at least two folds",
            got=f"fold {fold} alone",
            hint="A label that training never sees cannot be learned: add clips or drop the label",
        )
    return table


def lacking(clips: pd.DataFrame) -> dict[int, tuple[str, ...]]:
    """The labels, in the order of their targets, that a fold has no clip of; folds that have all are left out.

    Args:
        clips: a table with the columns ``fold``, ``target`` and ``label``.
    """
    labels = list(clips.sort_values("target")["label"].unique())
    own = {int(str(fold)): set(there) for fold, there in clips.groupby("fold", sort=True)["label"]}
    absent = {fold: tuple(label for label in labels if label not in there) for fold, there in own.items()}
    return {fold: missing for fold, missing in absent.items() if missing}


def refuse_lacking(clips: pd.DataFrame, folds: Iterable[int], *, where: object) -> None:
    """Refuse folds that :func:`lacking` names among those that are held out.

    Raises:
        DataError: one lacks a label; the message names it and the labels.
    """
    absent = lacking(clips)
    for fold in folds:
        if fold in absent:
            raise DataError(
                f"fold {fold} has no clip of class {', '.join(map(repr, absent[fold]))}",
                where=where,
                expected="every class in every held-out fold",
                hint="Hold out other folds, add clips, or set compare.incomplete_folds=accept",
            )


def encode_clips(clips: pd.DataFrame) -> bytes:
    """The table as CSV: UTF-8, ``\\n`` line ends; the same table gives the same bytes."""
    text: str = clips.to_csv(index=False, lineterminator="\n")
    return text.encode()


def decode_clips(data: bytes, *, where: Path) -> pd.DataFrame:
    """Read what :func:`encode_clips` wrote.

    Raises:
        IntegrityError: the bytes are not such a table.
    """
    try:
        # Labels such as "NA" or "none" are text, not missing values.
        read = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, encoding="utf-8")
        return read[list(COLUMNS)].astype(_NUMBERS)
    except (ValueError, KeyError, OverflowError) as error:
        raise IntegrityError("unreadable clip table", where=where, got=error) from error


def labels_of(clips: pd.DataFrame) -> list[str]:
    """The labels in the order of their targets."""
    return clips.drop_duplicates("target").sort_values("target")["label"].tolist()


def refuse_shared_sources(clips: pd.DataFrame, *, where: object, known: frozenset[str] = frozenset()) -> None:
    """Refuse a source recording with clips in two folds, which would leak from training into the held-out fold.

    Args:
        clips: a table with the columns ``source`` and ``fold``.
        where: the data set's name in messages.
        known: sources that are published so.

    Raises:
        DataError: the message names the source and its folds.
    """
    folds = clips.groupby("source")["fold"].unique()
    for source, found in folds.items():
        if len(found) > 1 and source not in known:
            raise DataError(
                f"source {source} stands in more than one fold",
                where=where,
                expected="all clips of a source in one fold",
                got=f"folds {', '.join(str(fold) for fold in sorted(found))}",
                hint="Its clips would leak from training into the held-out fold: mend the table",
            )


def _refuse_few(count: int, things: str, where: object) -> None:
    if count < 2:
        raise DataError(f"too few {things}", where=where, expected="at least 2", got=count)
