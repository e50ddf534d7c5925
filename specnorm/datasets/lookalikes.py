"""Values that a person cannot tell apart although a computer does: one class or group where one was meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from specnorm.errors import DataError

_SHOWN = 5  # of the sets of values that look alike
# Besides the format characters (zero widths, the byte-order mark, the soft hyphen, marks of direction, tags), what
# Unicode lets a font show as nothing: joiners, fillers, variation selectors.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def composed(text: str) -> str:
    """The text in Unicode's form NFC: what macOS writes with a combining accent is what others write as one letter."""
    return unicodedata.normalize("NFC", text)


def skeleton(text: str) -> str:
    """What is left where case, white space and invisible characters do not count; empty where nothing is seen.

    >>> skeleton(" Black\\u00a0\\u200bcat") == skeleton("black  CAT")
    True
    """
    if text.isascii():
        return " ".join(text.lower().split())
    seen = "".join(character for character in text if not _unseen(character))
    # A fold of case may leave letters apart from their accents, and another fold may find more of it.
    folded = composed(composed(seen).casefold())
    while folded != (again := composed(folded.casefold())):
        folded = again
    return " ".join(folded.split())


def alike(values: Iterable[str], things: str, *, where: object, strict: bool) -> list[str]:
    """Tell of different values that have one skeleton.

    Args:
        values: labels or groups.
        things: what they are.
        where: the data set's name in messages.
        strict: refuse them.

    Returns:
        A warning that shows them, or none.

    Raises:
        DataError: there are some, and ``strict``.
    """
    found: dict[str, list[str]] = {}
    for value in sorted(set(values)):
        found.setdefault(skeleton(value), []).append(value)
    sets = [_joined(each) for each in found.values() if len(each) > 1]
    if not sets:
        return []
    shown = "; ".join([*sets[:_SHOWN], *([f"and {len(sets) - _SHOWN} more"] if len(sets) > _SHOWN else [])])
    if strict:
        raise DataError(
            f"{things} that look alike",
            where=where,
            expected="values that differ in more than case, kind of white space or invisible characters",
            got=shown,
            hint="Mend them, or set dataset.strict_labels=false to take them as they are",
        )
    return [f"{things} that look alike and are not the same: {shown}"]


def shown(value: str) -> str:
    """The value in quotes, with every character that is not seen as its number."""
    return _UNSEEN.sub(lambda found: found[0].encode("ascii", "backslashreplace").decode(), repr(value))


def _unseen(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or _UNSEEN.match(character) is not None


def _joined(values: list[str]) -> str:
    *others, last = map(shown, values)
    return f"{', '.join(others)} and {last}"
