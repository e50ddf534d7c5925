"""One clip under two names: a leak where it stands in two folds, a contradiction where it has two labels."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import pandas as pd

from specnorm.datasets.archive import Archive
from specnorm.datasets.lookalikes import shown
from specnorm.errors import DataError


def twins(clips: pd.DataFrame, archive: Archive, *, strict: bool, where: object) -> list[str]:
    """Tell of clips with equal bytes in different folds or under different labels, whatever their table says of them.

    Args:
        clips: the table.
        archive: holds them; only those are read whose sums and sizes are equal.
        strict: refuse them.
        where: the data set's name in messages.

    Raises:
        DataError: there are some, and ``strict``.
        IntegrityError: one of them is not the bytes that were packed.
    """
    warnings = []
    of_sum: dict[tuple[int, int], list[tuple[str, str]]] = defaultdict(list)
    for clip, member in clips[["clip", "member"]].itertuples(index=False):
        of_sum[archive.crc(member), archive.size(member)].append((clip, member))
    equal: dict[str, str] = {}  # each clip's first twin
    for alike in (each for each in of_sum.values() if len(each) > 1):
        of_bytes: dict[str, str] = {}
        for clip, member in alike:
            digest = hashlib.sha256(archive.read(member)).hexdigest()
            equal[clip] = of_bytes.setdefault(digest, clip)
    rows = clips.set_index("clip")
    for column, things in (("fold", "folds"), ("label", "labels")):
        values = rows[column]
        differing = [(one, clip) for clip, one in equal.items() if values[one] != values[clip]]
        if not differing:
            continue
        one, other = map(shown, differing[0])
        what, found = f"clips of different {things} with equal bytes", f"{len(differing)}, first {one} and {other}"
        if strict:
            hint = "Remove one of each, or set dataset.strict_labels=false to take them as they are"
            raise DataError(what, where=where, expected="every clip once", got=found, hint=hint)
        warnings.append(f"{what}: {found}")
    return warnings
