"""How a fold's clips are cut into parts, a file each: sizes that memory and a restart bear, and cuts that stay put.

Where a part ends is told by the name of its last clip and not by a count, so that clips that are added or removed
change the part that they lie in and leave the others as they were (content-defined chunking: Muthitacharoen, Chen and
Mazieres 2001, "A low-bandwidth network file system", section 3.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

_BYTES = 160_000_000  # of a part, at least: a fold of ESC-50 is one part
_MOST_CLIPS = 4096  # of the least part: what one added clip makes anew
_TIMES = 4  # the longest part is so many times the least


def cut(names: Sequence[str], clip_bytes: int) -> list[range]:
    """The places of each part's clips.

    Args:
        names: the clips of a fold in their order.
        clip_bytes: of a clip's spectrogram.
    """
    least = max(1, min(_MOST_CLIPS, _BYTES // clip_bytes))
    parts, first = [], 0
    for place, name in enumerate(names):
        length = place + 1 - first
        if length == _TIMES * least or (length >= least and _ends(name, least)):
            parts.append(range(first, place + 1))
            first = place + 1
    if first < len(names):
        parts.append(range(first, len(names)))
    return parts


def _ends(name: str, one_in: int) -> bool:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) % one_in == 0
