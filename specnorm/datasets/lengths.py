"""How long the clips of a data set are, by their headers, and the clip length that fits them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
from tqdm import tqdm

from specnorm.audio.containers import HEAD_BYTES, refuse_others
from specnorm.audio.decode import promised_seconds
from specnorm.datasets.source import Source
from specnorm.errors import DataError, IntegrityError

QUANTILES = {"min": 0.0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "max": 1.0}
FITTING = (
    "95 %"  # this share of the clips stays whole: beyond it, padding all for the few longest costs more than it keeps
)


def measure(source: Source, members: Iterable[str], *, progress: bool = False) -> dict[str, Any]:
    """Lengths of clips from their headers: of a WAV file the head alone is read, of others the whole, undecoded.

    Returns:
        ``known`` and ``unknown``, the numbers of clips with a readable header and of the others, which are left to be
        refused by name where they are decoded; ``seconds``, every one of :data:`QUANTILES` as the length of a clip that
        is there (so that 95 % of the clips are no longer than that of 95 %); and ``clip_seconds``, see :func:`fitting`.
        The last two are ``None`` where no length is known.

    Raises:
        DataError: a clip is audio of a format that is not read.
    """
    found = [
        _seconds(source, member)
        for member in tqdm(list(members), desc="lengths", unit="clip", disable=None if progress else True)
    ]
    known = [seconds for seconds in found if seconds is not None]
    counts = {"known": len(known), "unknown": len(found) - len(known)}
    if not known:
        return counts | {"seconds": None, "clip_seconds": None}
    values = np.quantile(known, list(QUANTILES.values()), method="inverted_cdf")
    seconds = {name: round(float(value), 6) for name, value in zip(QUANTILES, values, strict=True)}
    return counts | {"seconds": seconds, "clip_seconds": fitting(seconds)}


def fitting(seconds: dict[str, float]) -> float:
    """The clip length that holds 95 % of the clips whole, to a thousandth of it, rounded up to two digits.

    >>> fitting({"95 %": 0.6381}), fitting({"95 %": 5.001}), fitting({"95 %": 12.1})
    (0.64, 5.0, 13.0)
    """
    needed = seconds[FITTING]
    digits = 1 - math.floor(math.log10(needed))  # after the point
    # The thousandth keeps a length of two digits, and what an encoder added to it, from being rounded to the next one.
    return float(round(math.ceil(needed * 10.0**digits * 0.999) / 10.0**digits, max(digits, 0)))


def sentences(lengths: dict[str, Any]) -> list[str]:
    """What :func:`measure` found, in one to three lines."""
    told = []
    seconds = lengths["seconds"]
    if seconds is not None:
        if seconds["min"] == seconds["max"]:
            told.append(f"every clip is {seconds['max']:.3g} s long")
        else:
            told.append("lengths in s: " + ", ".join(f"{name} {value:.3g}" for name, value in seconds.items()))
        told.append(f"a fitting spectrogram.clip_seconds: {lengths['clip_seconds']:g}, which leaves 95 % of them whole")
    if lengths["unknown"]:
        told.append(f"clips whose header does not tell their length: {lengths['unknown']}")
    return told


def _seconds(source: Source, member: str) -> float | None:
    try:
        head = source.head(member, HEAD_BYTES)
    except (DataError, IntegrityError):
        return None
    refuse_others(head, member)
    try:
        if head[:4] == b"RIFF":
            with suppress(DataError):  # where the samples begin beyond the head, the whole file tells
                return promised_seconds(head, size=source.size(member), name=member)
        data = source.read(member)
        return promised_seconds(data, size=len(data), name=member)
    except (DataError, IntegrityError):
        return None
