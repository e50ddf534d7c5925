"""A data set of one's own: audio files and a CSV that labels them."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

import pandas as pd

from specnorm.audio.containers import SUFFIXES
from specnorm.datasets.folds import make_folds
from specnorm.datasets.lookalikes import alike, composed
from specnorm.datasets.rows import Row, parse_rows
from specnorm.datasets.source import Source, find, trick_in
from specnorm.datasets.table import Clip, clip_table, refuse_shared_sources
from specnorm.errors import DataError, IntegrityError
from specnorm.params.dataset import CsvParams


def read_csv_table(source: Source, params: CsvParams) -> tuple[pd.DataFrame, list[str]]:
    """Read the table of a zip or folder with a CSV.

    Names, labels and groups are taken in Unicode's form NFC, and a file is found in whichever form its name is written.
    Labels get their targets in alphabetical order. Without a fold column, folds are made: every label is spread evenly
    and a group stays whole; the same clips and seed give the same folds, in whatever order the CSV lists them.

    Returns:
        The clip table and warnings.

    Raises:
        DataError: the CSV or a file in it is missing, a value is faulty (the message names the row), a group stands in
            two folds, the clips do not suffice for the folds, or labels or groups look alike and may not.
        IntegrityError: a clip cannot be read safely, or the table is not that of ``table_sha256``.
    """
    table = table_name(source, params)
    prefix = "" if _plain(params.audio) == "." else _plain(params.audio) + "/"
    present = source.names()
    where = f"{source.path}, {table}"
    columns = [params.filename_column, params.label_column, params.fold_column, params.group_column]
    data = source.read(table)
    _hold_table(data, params.table_sha256, where)
    rows = parse_rows(data, list(dict.fromkeys(name for name in columns if name)), where=where)

    named = _by_filename(rows, params.filename_column)
    paths = {name: prefix + row.text(params.filename_column) for name, row in named.items()}
    member_of = find(paths.values(), present, where=source.path)
    members = {name: member_of[path] for name, path in paths.items()}
    source.check(members.values())
    labels = {name: composed(row.text(params.label_column)) for name, row in named.items()}
    warnings = alike(labels.values(), "labels", where=where, strict=params.strict_labels)
    column, groups = params.group_column, None
    if column is not None:
        groups = {name: composed(row.text(column)) for name, row in named.items()}
        warnings += alike(groups.values(), "groups", where=where, strict=params.strict_labels)
    if params.fold_column is not None:
        folds = {name: row.integer(params.fold_column, 1) for name, row in named.items()}
    else:
        folds = make_folds(labels, groups, count=params.folds, seed=params.seed, where=where)
    sources = groups or {name: name for name in named}
    order = sorted(set(labels.values()))
    target_of = {label: target for target, label in enumerate(order)}
    clips = clip_table(
        (
            Clip(name, members[name], folds[name], target_of[labels[name]], labels[name], sources[name])
            for name in named
        ),
        where=where,
    )
    refuse_shared_sources(clips, where=where)
    listed, below = set(clips["member"]), composed(prefix)
    others = (name for name in present if name not in listed and composed(name).startswith(below))
    extra = sum(name.lower().endswith(SUFFIXES) for name in others)
    return clips, [*warnings, *([f"audio files that {table} does not list, left out: {extra}"] if extra else [])]


def table_name(source: Source, params: CsvParams) -> str:
    """The CSV's member name in the source.

    Raises:
        DataError: there is none; the message lists the CSV files that there are.
    """
    table, present = _plain(params.table), source.names()
    if composed(table) not in map(composed, present):
        others = [name for name in present if name.lower().endswith(".csv")][:5]
        hint = f"CSV files there: {', '.join(others)}; set dataset.table" if others else "Set dataset.table"
        raise DataError("missing table", where=source.path, expected=table, hint=hint)
    return find([table], present, where=source.path)[table]


def _hold_table(data: bytes, expected: str | None, where: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if expected not in (None, found):
        hint = "Mend it, or set dataset.table_sha256 where it was meant to change"
        raise IntegrityError("changed table", where=where, expected=f"SHA-256 {expected}", got=found, hint=hint)


def _plain(path: str) -> str:
    return PurePosixPath(path).as_posix()  # drops a leading "./" and a closing "/"


def _by_filename(rows: list[Row], column: str) -> dict[str, Row]:
    """The rows by their files' names, composed and sorted."""
    named: dict[str, Row] = {}
    for row in rows:
        name = composed(row.text(column))
        trick = trick_in(name)
        if trick is not None:
            raise row.fault(column, "a plain path relative to dataset.audio", f"{trick}: {name!r}")
        if name in named:
            raise row.fault(column, "a file that no other row names", f"{name}, as in row {named[name].number}")
        named[name] = row
    return dict(sorted(named.items()))
