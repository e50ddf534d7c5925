"""The layout of a recording: what every format must promise, and the errors that all of them share."""

from __future__ import annotations

import math
from typing import NamedTuple

from specnorm.errors import DataError

LOWEST_RATE_HZ = 1_000
HIGHEST_RATE_HZ = 768_000
MOST_CHANNELS = 2


class Promise(NamedTuple):
    """What a whole file says about the samples that a decoder must find in it."""

    least: int = 0  # frames
    most: int | None = None  # frames; none: the format does not tell
    md5: bytes | None = None  # of the samples as interleaved little-endian integers
    bits: int | None = None  # of such a sample
    warnings: tuple[str, ...] = ()  # what is legal but strange, one sentence each


def check_layout(
    where: object, *, rate: int, channels: int, frames: int | None = None, max_seconds: float = math.inf
) -> None:
    """The gate of every format: rate, channels and, once they are known, frames."""
    if not LOWEST_RATE_HZ <= rate <= HIGHEST_RATE_HZ:
        raise DataError(
            "bad sample rate", where=where, expected=f"{LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz", got=f"{rate} Hz"
        )
    if not 1 <= channels <= MOST_CHANNELS:
        raise DataError(
            "bad number of channels", where=where, expected=f"1 to {MOST_CHANNELS}", got=channels, hint="Mix it down"
        )
    if frames is not None and frames < 1:
        raise DataError("no audio", where=where, expected="at least one frame", got=frames)
    if frames is not None and frames > max_seconds * rate:
        raise DataError(
            "too long", where=where, expected=f"at most {max_seconds:g} s", got=f"{frames / rate:.1f} s by the header"
        )


def truncated(where: object, expected: str, got: str) -> DataError:
    """The error for a file that ends before its header says."""
    return DataError("truncated", where=where, expected=expected, got=got, hint="Fetch the file again")
