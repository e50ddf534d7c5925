"""A table of the page: what stands in it, what it is sorted by, and the CSV file that it is a part of."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from specnorm.comparison.document import Difference, Estimate
from specnorm.report import formats, spreadsheet

# Bytes of a CSV file that a page carries along. The disagreements of 2000 clips in 20 modes are 300 kB.
_MOST_CARRIED = 1_000_000


@dataclass(frozen=True)
class Column:
    """``kind`` is how it is set: figures to the right, several names on several lines."""

    title: str
    kind: Literal["", "number", "names"] = ""

    @property
    def number(self) -> bool:
        """Whether its entries are figures."""
        return self.kind == "number"


@dataclass(frozen=True)
class Entry:
    """What stands in a row below a column's title.

    Attributes:
        text: what is read.
        small: what is read second, such as an interval.
        order: what it is sorted by where the text is not that; empty where there is nothing, which comes last.
        mode: whether the text is a mode's name, which has its colour before it.
    """

    text: str
    small: str = ""
    order: float | str | None = None
    mode: bool = False


@dataclass(frozen=True)
class Row:
    """An entry a column; the first one is what the row is about. A chosen row is shaded."""

    entries: Sequence[Entry]
    chosen: bool = False


@dataclass(frozen=True)
class Listing:
    """A table with its title, and the file that all of it is in.

    Attributes:
        caption: the title.
        columns: from left to right.
        rows: from top to bottom, as they are before anyone sorts them.
        file: the CSV file beside the page.
        link: the file itself, as an address that holds it; none where it is too large to be carried along.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    file: str = ""
    link: str | None = None


def carried(frame: pd.DataFrame) -> str | None:
    """A frame's CSV file as an address that holds it, for a page that is moved without its folder."""
    data = spreadsheet.csv(frame).encode()
    return f"data:text/csv;base64,{base64.b64encode(data).decode()}" if len(data) <= _MOST_CARRIED else None


def mode(name: str) -> Entry:
    """A mode by its name."""
    return Entry(name, mode=True)


def figure(value: float | None, shown: str, small: str = "") -> Entry:
    """A number as it is shown, which is sorted by all of its digits."""
    return Entry(shown, small, "" if value is None else value)


def estimate(found: Estimate, *, share: bool = True) -> Entry:
    """A mean with its interval: in hundredths, or as it is."""
    shown = formats.in_points(found.mean) if share else formats.number(found.mean)
    return figure(found.mean, shown, formats.interval(found, share=share))


def difference(found: Difference, *, share: bool = True) -> Entry:
    """A difference with its interval: in points, or as it is."""
    return figure(found.difference, formats.change(found.difference, share=share), formats.interval(found, share=share))
