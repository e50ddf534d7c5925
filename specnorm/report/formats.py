"""How figures read in a person's tables: points with one decimal, intervals in words, a dash for what is not."""

from __future__ import annotations

from specnorm.comparison.document import Difference, Estimate
from specnorm.comparison.metrics import p_shown, points

ABSENT = "–"


def in_points(value: float | None) -> str:
    """A share in hundredths.

    >>> in_points(0.6), in_points(None)
    ('60.0', '–')
    """
    return ABSENT if value is None else f"{points(value):.1f}"


def change(value: float | None, *, share: bool = True) -> str:
    """A difference with its sign: in points, or as it is.

    >>> change(-0.0125), change(0.25, share=False)
    ('-1.2', '+0.250')
    """
    if value is None:
        return ABSENT
    return f"{points(value):+.1f}" if share else f"{value:+.3f}"


def number(value: float | None, digits: int = 3) -> str:
    """A figure with so many decimals."""
    return ABSENT if value is None else f"{value:.{digits}f}"


def p(value: float | None) -> str:
    """A p-value."""
    return ABSENT if value is None else p_shown(value)


def percent(share: float | None, digits: int = 1) -> str:
    """A share in per cent."""
    return ABSENT if share is None else f"{100 * share:.{digits}f} %"


def interval(found: Estimate | Difference, *, share: bool = True) -> str:
    """From where to where, as the figure itself is shown; nothing where there is no interval."""
    if found.low is None or found.high is None:
        return ""
    if isinstance(found, Difference):
        return f"{change(found.low, share=share)} to {change(found.high, share=share)}"
    return (
        f"{in_points(found.low)} to {in_points(found.high)}"
        if share
        else f"{number(found.low)} to {number(found.high)}"
    )
