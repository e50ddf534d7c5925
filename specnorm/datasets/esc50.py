"""ESC-50 and its cuts: the published layout, and the published facts that a complete copy must show.

Source: K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", 2015,
https://github.com/karolpiczak/ESC-50.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from typing import NamedTuple

import pandas as pd

from specnorm.audio.containers import HEAD_BYTES
from specnorm.audio.formats import wav
from specnorm.datasets.lookalikes import alike, composed
from specnorm.datasets.rows import Row, parse_rows
from specnorm.datasets.source import Source, refuse_missing
from specnorm.datasets.table import Clip, clip_table, refuse_shared_sources
from specnorm.errors import DataError, IntegrityError
from specnorm.params.dataset import EscParams

CLIP_HEADER = wav.WavHeader(format=1, channels=1, sample_rate=44100, bits=16, frames=220500)
FOLDS = 5
TARGETS = 50
CLASS_CLIPS = 8  # of each class in each fold

# The published table has these sources in two folds each, although its README says that it has none.
SHARED_SOURCES = {"131943": (2, 3), "134049": (2, 3), "209698": (4, 5), "234879": (4, 5)}

_TABLE = "meta/esc50.csv"
_AUDIO = "audio/"
_FILENAME = re.compile(r"^(?P<fold>\d)-(?P<src_file>\d+)-(?P<take>[A-Z])-(?P<target>\d{1,2})\.(wav|ogg)$")


class _Facts(NamedTuple):
    clips: int
    classes: int
    sources: int
    # Of the rows as the published file writes them: of all rows it is the SHA-256 of meta/esc50.csv itself, which lists
    # the WAV files by name, and of the rows marked esc10 that of their cut.
    table_sha256: str


PUBLISHED = {
    "all": _Facts(
        clips=2000,
        classes=TARGETS,
        sources=1524,
        table_sha256="ca660da60191a97de289983a05821c9382d852a38a2ba8428980816b68cf6246",
    ),
    "esc10": _Facts(
        clips=400,
        classes=10,
        sources=304,
        table_sha256="ed49ba35f21b17fb74d8d9a25be35f62337a58ba6d3ad1d055793472f2c56736",
    ),
}


class _Entry(NamedTuple):
    """A row; the fields are the published columns, in their order."""

    filename: str
    fold: int
    target: int
    category: str
    esc10: bool
    src_file: str
    take: str


def read_esc_table(source: Source, params: EscParams) -> tuple[pd.DataFrame, list[str]]:
    """Read and audit the table of a zip or folder in ESC-50's layout.

    Args:
        source: holds ``meta/esc50.csv`` and ``audio/``, at its top or in one folder there.
        params: ``subset`` chooses the clips, ``complete`` holds them to the published facts.

    Returns:
        The clip table, with the targets of the subset renumbered from 0 in their published order, and warnings.

    Raises:
        DataError: the table is missing or faulty, it disagrees with the file names, a source leaks between folds, a
            clip is missing, or the published facts do not hold; the message names the row, the source or the counts.
        IntegrityError: a clip cannot be read safely, or the rows of a complete set are not the published ones.
    """
    table = table_member(source)
    where = f"{source.path}, {table}"
    data = source.read(table)
    entries = _entries(parse_rows(data, _Entry._fields, where=where))
    chosen = [entry for entry in entries if entry.esc10 or params.subset == "all"]
    if not chosen:
        raise DataError("empty subset", where=where, expected="rows with esc10 True", got="none")
    _refuse_leaks(entries, where)
    if params.complete:
        _hold_facts(chosen, params.subset, where)
        _hold_table(chosen, params.subset, where)

    top = table.removesuffix(_TABLE)
    audio = top + _AUDIO
    members = [audio + entry.filename for entry in chosen]
    present = source.names()
    refuse_missing(members, present, where=source.path)
    source.check(members)
    order = sorted({entry.target for entry in chosen})
    clips = clip_table(
        (
            Clip(
                clip=entry.filename,
                member=audio + entry.filename,
                fold=entry.fold,
                target=order.index(entry.target),
                label=entry.category,
                source=entry.src_file,
            )
            for entry in chosen
        ),
        where=where,
    )

    listed = {audio + entry.filename for entry in entries}
    extra = sum(name.startswith(audio) and name.endswith((".wav", ".ogg")) and name not in listed for name in present)
    warnings = [f"audio files that {_TABLE} does not list, left out: {extra}"] if extra else []
    if params.complete:
        if data != _written(entries):
            found, rows = hashlib.sha256(data).hexdigest(), PUBLISHED[params.subset].table_sha256
            warnings.append(
                f"the bytes of {_TABLE} are not the published ones (SHA-256 {found}), its rows are (SHA-256 {rows})"
            )
        for member in members:
            check_header(source, member)
    else:
        warnings += alike([entry.category for entry in chosen], "labels", where=where, strict=False)
        folds = ", ".join(f"{fold}: {count}" for fold, count in sorted(Counter(e.fold for e in chosen).items()))
        warnings.append(
            f"not held to the published facts: {len(chosen)} clips of {len(order)} classes, clips a fold {folds}"
        )
    return clips, warnings


def table_member(source: Source) -> str:
    """The name of ``meta/esc50.csv`` in the source.

    Raises:
        DataError: there is none, or more than one.
    """
    found = [name for name in source.names() if re.fullmatch(rf"([^/]+/)?{re.escape(_TABLE)}", name)]
    if len(found) != 1:
        raise DataError(
            "not in ESC-50's layout",
            where=source.path,
            expected=f"one {_TABLE}, at the top or in one folder there",
            got=", ".join(found) or "none",
        )
    return found[0]


def check_header(source: Source, member: str) -> None:
    """Hold the header of a WAV clip to the published form; a clip in Ogg Vorbis has no such form and passes.

    Raises:
        DataError: the clip is not 44.1 kHz, mono, 16 bit, 220500 frames.
    """
    if not member.endswith(".wav"):
        return
    where = f"{source.path}, member {member!r}"
    header = wav.header(source.head(member, HEAD_BYTES), source.size(member), where=where)
    if header != CLIP_HEADER:
        differing = [name for name in wav.WavHeader._fields if getattr(header, name) != getattr(CLIP_HEADER, name)]
        raise DataError(
            "not an ESC-50 clip",
            where=where,
            expected=", ".join(f"{name} {getattr(CLIP_HEADER, name)}" for name in differing),
            got=", ".join(f"{name} {getattr(header, name)}" for name in differing),
            hint="dataset.complete=false accepts other audio",
        )


def _entries(rows: list[Row]) -> list[_Entry]:
    entries = []
    seen: dict[str, int] = {}
    meaning: dict[int, tuple[str, bool]] = {}
    target_of: dict[str, int] = {}
    for row in rows:
        filename = row.text("filename")
        fields = _FILENAME.match(filename)
        if fields is None:
            raise row.fault("filename", "<fold>-<source>-<take>-<target>.wav or .ogg", repr(filename))
        if seen.setdefault(filename, row.number) != row.number:
            raise row.fault("filename", "a file that no other row names", f"{filename}, as in row {seen[filename]}")
        fold, target = row.integer("fold", 1, FOLDS), row.integer("target", 0, TARGETS - 1)
        src_file, take = str(row.integer("src_file", 0)), row.text("take")
        columns = {"fold": str(fold), "target": str(target), "src_file": src_file, "take": take}
        for column, value in columns.items():
            if fields[column] != value:
                raise row.fault(column, f"{fields[column]} as in the file name {filename}", value)
        category, esc10 = composed(row.text("category")), row.truth("esc10")
        if meaning.setdefault(target, (category, esc10)) != (category, esc10):
            expected = f"{meaning[target][0]}, esc10 {meaning[target][1]} as in other rows of target {target}"
            raise row.fault("category", expected, f"{category}, esc10 {esc10}")
        if target_of.setdefault(category, target) != target:
            raise row.fault("target", f"{target_of[category]} as in other rows of {category}", target)
        entries.append(_Entry(filename, fold, target, category, esc10, src_file, take))
    return entries


def _refuse_leaks(entries: list[_Entry], where: str) -> None:
    pairs = pd.DataFrame([(entry.src_file, entry.fold) for entry in entries], columns=["source", "fold"])
    known = frozenset(
        source
        for source, folds in SHARED_SOURCES.items()
        if set(pairs.loc[pairs["source"] == source, "fold"]) <= {*folds}
    )
    refuse_shared_sources(pairs, where=where, known=known)


def _hold_facts(entries: list[_Entry], subset: str, where: str) -> None:
    facts = PUBLISHED[subset]
    esc10 = sum(entry.esc10 for entry in entries)
    targets = sorted({entry.target for entry in entries})
    in_fold = Counter((entry.fold, entry.target) for entry in entries)
    checks = [
        ("clips", facts.clips, len(entries)),
        ("classes", facts.classes, len(targets)),
        ("clips marked esc10", PUBLISHED["esc10"].clips, esc10),
    ]
    # A class as often in every fold makes even folds and even classes.
    for fold in range(1, FOLDS + 1):
        checks += [(f"clips of target {t} in fold {fold}", CLASS_CLIPS, in_fold[fold, t]) for t in targets]
    checks.append(("sources", facts.sources, len({entry.src_file for entry in entries})))
    for things, expected, got in checks:
        if expected != got:
            folds = Counter(entry.fold for entry in entries)
            looks_like_esc10 = subset == "all" and esc10 == len(entries) == PUBLISHED["esc10"].clips
            raise DataError(
                f"wrong number of {things}",
                where=where,
                expected=expected,
                got=f"{got} (clips a fold {', '.join(f'{fold}: {folds[fold]}' for fold in range(1, FOLDS + 1))})",
                hint="This looks like ESC-10: set dataset=esc10"
                if looks_like_esc10
                else "dataset.complete=false accepts a cut of the data set",
            )


def _hold_table(entries: list[_Entry], subset: str, where: str) -> None:
    """Counts see no two labels that were swapped, in every row or in two; a digest does."""
    rows = [entry._replace(filename=entry.filename.replace(".ogg", ".wav")) for entry in entries]
    expected, got = PUBLISHED[subset].table_sha256, hashlib.sha256(_written(rows)).hexdigest()
    if got != expected:
        raise IntegrityError(
            "not the published table",
            where=where,
            expected=f"rows of SHA-256 {expected}",
            got=got,
            hint="Compare it with the published file; dataset.complete=false takes it as it is",
        )


def _written(entries: list[_Entry]) -> bytes:
    """The rows as the published file has them: by file name, every line ended by one character."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_Entry._fields, *sorted(entries)])
    return text.getvalue().encode()
