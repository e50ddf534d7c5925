"""A data set of one's own without a table: a sub-folder a class, and audio files anywhere below it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

import pandas as pd

from specnorm.audio.containers import SUFFIXES, refuse_others
from specnorm.datasets.folds import make_folds
from specnorm.datasets.lookalikes import alike, composed, skeleton
from specnorm.datasets.source import Source, one_text_twice, refuse_case_twins
from specnorm.datasets.table import Clip, clip_table
from specnorm.errors import DataError
from specnorm.params.dataset import FolderParams

# What operating systems and file servers leave in folders, beside what starts with a dot.
_LEFT_BEHIND = {"__macosx", "@eadir", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
# Sub-folders of these names alone are parts of a data set, and a network would learn to tell its parts apart.
_PART = re.compile(r"(train(ing)?|test(ing)?|val(id(ation)?)?|dev|eval(uation)?|fold[ _-]?\d+)", re.IGNORECASE)


def read_class_folders(source: Source, params: FolderParams) -> tuple[pd.DataFrame, list[str]]:
    """Make the table of a zip or folder with one sub-folder a class.

    A class is called as its folder, in Unicode's form NFC, at the source's top or below folders that wrap all classes;
    targets go by the sorted names, deeper folders mean nothing. Folds are made as for a table without a fold column.

    Returns:
        The clip table, a clip being called by its path from the class folder on, and warnings.

    Raises:
        DataError: there are fewer than two class folders, one has no audio, audio lies beside them or is of a format
            that is not read, they are parts of a data set such as train and test, a file's name does not tell its
            group, the clips do not suffice for the folds, or labels or groups look alike and may not.
        IntegrityError: a clip cannot be read safely, or two classes differ in case alone.
    """
    files = [name for name in source.names() if not _left_behind(name)]
    folders = [name for name in source.folders() if not _left_behind(name)]
    audio = [name for name in files if name.lower().endswith(SUFFIXES)]
    for name in set(files) - set(audio):
        refuse_others(b"", name)
    source.check(audio)
    top = _top(files, folders, audio)
    clips: dict[str, str] = {}
    for name in audio:
        other = clips.setdefault(composed(name.removeprefix(top)), name)
        if other != name:
            raise one_text_twice([other, name], where=source.path)
    _refuse_layout(source, top, _children(top, files, folders), clips)

    labels = {clip: clip.partition("/")[0] for clip in clips}
    warnings = alike(labels.values(), "labels", where=source.path, strict=params.strict_labels)
    groups = None
    if params.group_pattern is not None:
        groups = {clip: _group(params.group_pattern, clip, source) for clip in clips}
        warnings += alike(groups.values(), "groups", where=source.path, strict=params.strict_labels)
    folds = make_folds(labels, groups, count=params.folds, seed=params.seed, where=source.path)
    target_of = {label: target for target, label in enumerate(sorted(set(labels.values())))}
    sources = groups or {clip: clip for clip in clips}
    table = clip_table(
        (
            Clip(clip, member, folds[clip], target_of[labels[clip]], labels[clip], sources[clip])
            for clip, member in clips.items()
        ),
        where=source.path,
    )
    return table, [*warnings, *_others(set(files) - set(audio))]


def _left_behind(name: str) -> bool:
    # The parts . and .. hide nothing: they are refused.
    return any((part.startswith(".") and part.strip(".")) or part.lower() in _LEFT_BEHIND for part in name.split("/"))


def _children(top: str, files: Iterable[str], folders: Iterable[str]) -> list[str]:
    """The names of the folders in the folder ``top``, which is empty or ends in ``/``."""
    below = [name.removeprefix(top) for name in files if name.startswith(top)]
    named = [f"{name}/".removeprefix(top) for name in folders if name.startswith(top)]
    return sorted({name.partition("/")[0] for name in [*below, *named] if "/" in name} - {""})


def _top(files: list[str], folders: list[str], audio: list[str]) -> str:
    """Where the class folders stand: an archive made of one folder holds them in that folder."""
    top = ""
    while True:
        children = _children(top, files, folders)
        if len(children) != 1:
            return top
        inner = f"{top}{children[0]}/"
        holds_audio = any("/" not in name.removeprefix(place) for place in (top, inner) for name in _in(place, audio))
        if holds_audio or not _children(inner, files, folders):
            return top
        top = inner


def _in(place: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(place)]


def _refuse_layout(source: Source, top: str, classes: list[str], clips: Iterable[str]) -> None:
    where = f"{source.path}, folder {top.rstrip('/')!r}" if top else source.path
    loose = [clip for clip in clips if "/" not in clip]
    if len(classes) < 2:
        raise DataError(
            "too few class folders",
            where=where,
            expected="at least two sub-folders, one a class",
            got=_some(classes) or "none",
            hint="dataset=csv reads clips that a table labels",
        )
    if loose:
        raise DataError(
            "audio beside the class folders",
            where=where,
            expected="every clip in the sub-folder of its class",
            got=f"{len(loose)}, first {loose[0]!r}",
            hint="Move them into their class or out of the data set",
        )
    refuse_case_twins({composed(name) for name in classes}, where=where)
    heard = {clip.partition("/")[0] for clip in clips}
    empty = [name for name in classes if composed(name) not in heard]
    if empty:
        raise DataError(
            "no audio in a class folder",
            where=where,
            expected=f"files that end in {', '.join(SUFFIXES)}",
            got=f"none in {_some(empty)}",
            hint="Fill it or move it out of the data set; links to folders are not followed",
        )
    if all(_PART.fullmatch(name) for name in classes):
        raise DataError(
            "parts of a data set in place of classes",
            where=where,
            expected="one sub-folder a class",
            got=_some(classes),
            hint="Folds are made here: set dataset.source to one part, or pour them together",
        )


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _group(pattern: str, clip: str, source: Source) -> str:
    name = PurePosixPath(clip).name
    found = re.search(pattern, name)
    if found is None or not skeleton(found[1] or ""):
        raise DataError(
            "a file's name does not tell its group",
            where=f"{source.path}, {clip}",
            expected=f"a name with the group of dataset.group_pattern, {pattern!r}",
            got="no match" if found is None else "an empty group",
        )
    return composed(found[1])


def _others(names: set[str]) -> list[str]:
    if not names:
        return []
    counts = Counter(PurePosixPath(name).suffix.lower() or "no suffix" for name in names)
    kinds = ", ".join(f"{suffix}: {count}" for suffix, count in sorted(counts.items()))
    return [f"files that are not read as audio, left out: {len(names)} ({kinds})"]
