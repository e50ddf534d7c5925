"""A data set of one's own: audio files and a CSV that labels them."""

from __future__ import annotations

from pathlib import PurePosixPath

import pandas as pd

from specnorm.audio.containers import SUFFIXES
from specnorm.dataset_params import CsvParams
from specnorm.datasets.folds import make_folds
from specnorm.datasets.rows import Row, parse_rows
from specnorm.datasets.source import Source, refuse_missing, trick_in
from specnorm.datasets.table import Clip, clip_table, refuse_shared_sources
from specnorm.errors import DataError


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
    column = params.group_column
    groups = {name: row.text(column) for name, row in named.items()} if column is not None else None
    if params.fold_column is not None:
        folds = {name: row.integer(params.fold_column, 1) for name, row in named.items()}
    else:
        folds = make_folds(labels, groups, count=params.folds, seed=params.seed, where=where)
    sources = groups or {name: name for name in named}
    order = sorted(set(labels.values()))
    target_of = {label: target for target, label in enumerate(order)}
    clips = clip_table(
        (
            Clip(name, prefix + name, folds[name], target_of[labels[name]], labels[name], sources[name])
            for name in named
        ),
        where=where,
    )
    refuse_shared_sources(clips, where=where)
    listed = set(clips["member"])
    extra = sum(name.startswith(prefix) and name.lower().endswith(SUFFIXES) and name not in listed for name in present)
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
