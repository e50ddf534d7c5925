"""A data set of one's own: audio files and a CSV that labels them."""

from __future__ import annotations

import warnings
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from specnorm.datasets.rows import Row, parse_rows
from specnorm.datasets.source import Source, refuse_missing, trick_in
from specnorm.datasets.table import Clip, clip_table, refuse_shared_sources
from specnorm.errors import DataError
from specnorm.params import CsvParams

AUDIO_SUFFIXES = (".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav")


def read_csv_table(source: Source, params: CsvParams) -> tuple[pd.DataFrame, list[str]]:
    """Read the table of a zip or folder with a CSV.

    Labels get their targets in alphabetical order. Without a fold column, folds are made: every label is spread evenly
    and a group stays whole; the same clips and seed give the same folds, in whatever order the CSV lists them.

    Returns:
        The clip table and warnings.

    Raises:
        DataError: the CSV or a file in it is missing, a value is faulty (the message names the row), a group stands in
            two folds, or the clips do not suffice for the folds.
        IntegrityError: a clip cannot be read safely.
    """
    table = table_name(params)
    prefix = "" if _plain(params.audio) == "." else _plain(params.audio) + "/"
    present = source.names()
    if table not in present:
        others = [name for name in present if name.lower().endswith(".csv")][:5]
        hint = f"CSV files there: {', '.join(others)}; set dataset.table" if others else "Set dataset.table"
        raise DataError("missing table", where=source.path, expected=table, hint=hint)
    where = f"{source.path}, {table}"
    columns = [params.filename_column, params.label_column, params.fold_column, params.group_column]
    rows = parse_rows(source.read(table), list(dict.fromkeys(name for name in columns if name)), where=where)

    named = _by_filename(rows, params.filename_column)
    refuse_missing([prefix + name for name in named], present, where=source.path)
    source.check(prefix + name for name in named)
    labels = {name: row.text(params.label_column) for name, row in named.items()}
    groups = {name: row.text(params.group_column) if params.group_column else name for name, row in named.items()}
    if params.fold_column is not None:
        folds = {name: row.integer(params.fold_column, 1) for name, row in named.items()}
    else:
        folds = _made_folds(labels, groups, params, where)
    order = sorted(set(labels.values()))
    target_of = {label: target for target, label in enumerate(order)}
    clips = clip_table(
        (Clip(name, prefix + name, folds[name], target_of[labels[name]], labels[name], groups[name]) for name in named),
        where=where,
    )
    refuse_shared_sources(clips, where=where)
    listed = set(clips["member"])
    extra = sum(
        name.startswith(prefix) and name.lower().endswith(AUDIO_SUFFIXES) and name not in listed for name in present
    )
    return clips, [f"audio files that {table} does not list, left out: {extra}"] if extra else []


def table_name(params: CsvParams) -> str:
    """The CSV's member name in the source."""
    return _plain(params.table)


def _plain(path: str) -> str:
    return PurePosixPath(path).as_posix()  # drops a leading "./" and a closing "/"


def _by_filename(rows: list[Row], column: str) -> dict[str, Row]:
    named: dict[str, Row] = {}
    for row in rows:
        name = row.text(column)
        trick = trick_in(name)
        if trick is not None:
            raise row.fault(column, "a plain path relative to dataset.audio", f"{trick}: {name!r}")
        if name in named:
            raise row.fault(column, "a file that no other row names", f"{name}, as in row {named[name].number}")
        named[name] = row
    return dict(sorted(named.items()))


def _made_folds(labels: dict[str, str], groups: dict[str, str], params: CsvParams, where: str) -> dict[str, int]:
    targets = np.array(list(labels.values()))
    wholes = np.array(list(groups.values())) if params.group_column else None
    count = params.folds
    units = len(set(groups.values()))
    if units < count:
        things = "groups" if params.group_column else "clips"
        raise DataError(f"too few {things}", where=where, expected=f"at least {count} for {count} folds", got=units)
    splitter = (StratifiedGroupKFold if params.group_column else StratifiedKFold)(
        n_splits=count, shuffle=True, random_state=params.seed
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
