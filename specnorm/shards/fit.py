"""How the clips were fitted to one length: how many were cut or padded, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def fit_of(seconds: Sequence[float], *, samples: int, sample_rate: int) -> dict[str, Any]:
    """Count what fitting clips to ``samples`` did, to the nearest sample at ``sample_rate`` Hz.

    Args:
        seconds: the clips' own lengths.
        samples: the length that they were given.
        sample_rate: in Hz, of ``samples``.

    Returns:
        ``clips``, ``clip_seconds``, and for ``cut`` and ``padded`` the number of ``clips``, and ``median_seconds`` and
        ``largest_seconds`` by which, ``None`` where there is none.
    """
    excess = np.asarray(seconds, dtype=np.float64) - samples / sample_rate  # [clips]
    beyond = np.round(excess * sample_rate)
    return {
        "clips": len(excess),
        "clip_seconds": samples / sample_rate,
        "cut": _amounts(excess[beyond > 0]),
        "padded": _amounts(-excess[beyond < 0]),
    }


def fit_sentence(fit: dict[str, Any]) -> str:
    """What :func:`fit_of` counted, as one sentence without its full stop."""
    length, cut, padded = f"{fit['clip_seconds']:.3g} s", fit["cut"], fit["padded"]
    if not cut["clips"] and not padded["clips"]:
        return f"none of {fit['clips']} clips was cut or padded: all are {length} long"
    return f"of {fit['clips']} clips, fitted to {length}, {_told(cut, 'cut')} and {_told(padded, 'padded with zeros')}"


def _amounts(seconds: NDArray[np.float64]) -> dict[str, Any]:
    if not len(seconds):
        return {"clips": 0, "median_seconds": None, "largest_seconds": None}
    median, largest = (round(float(value), 6) for value in (np.median(seconds), seconds.max()))
    return {"clips": len(seconds), "median_seconds": median, "largest_seconds": largest}


def _told(amounts: dict[str, Any], what: str) -> str:
    count = amounts["clips"]
    if not count:
        return f"none was {what}"
    by = f"{amounts['median_seconds']:.2g} s"
    if count > 1:
        by += f" in the median and {amounts['largest_seconds']:.2g} s at most"
    return f"{count} {'was' if count == 1 else 'were'} {what} (by {by})"
