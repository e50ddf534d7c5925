"""CSV bytes as rows of text, with every fault named by file, row and column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from specnorm.datasets.lookalikes import shown, skeleton
from specnorm.errors import DataError

_INTEGER = re.compile(r"^-?[0-9]{1,18}$")
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Row:
    """One row of a CSV; ``number`` counts the header as row 1, as a spreadsheet does."""

    where: str
    number: int
    values: dict[str, str]

    def text(self, column: str) -> str:
        """The value of ``column``.

        Raises:
            DataError: there is nothing to be seen in it, or it holds a control character.
        """
        value = self.values[column]
        if not skeleton(value):
            raise self.fault(column, "a value", shown(value) if value else "nothing")
        if any(ord(character) < 32 for character in value):
            raise self.fault(column, "plain text", f"a control character: {value!r}")
        return value

    def integer(self, column: str, low: int, high: int | None = None) -> int:
        """The value of ``column`` as a whole number from ``low`` to ``high``.

        Raises:
            DataError: it is not one.
        """
        value = self.values[column]
        if not _INTEGER.match(value) or int(value) < low or (high is not None and int(value) > high):
            bounds = f"from {low}" if high is None else f"from {low} to {high}"
            raise self.fault(column, f"a whole number {bounds}", repr(value))
        return int(value)

    def truth(self, column: str) -> bool:
        """The value of ``column`` as true or false, in any case of letters.

        Raises:
            DataError: it is neither.
        """
        value = self.values[column]
        if value.lower() not in _TRUTH:
            raise self.fault(column, "True or False", repr(value))
        return _TRUTH[value.lower()]

    def fault(self, column: str, expected: object, got: object) -> DataError:
        """The error for a bad value of ``column``."""
        return DataError(f"bad {column}", where=f"{self.where}, row {self.number}", expected=expected, got=got)


def parse_rows(data: bytes, columns: Sequence[str], *, where: str) -> list[Row]:
    """Read the named columns of a CSV; other columns, their order, a byte-order mark and the line ends do not matter.

    Args:
        data: the bytes of the file, UTF-8.
        columns: the columns that must be there.
        where: the name of the file in messages.

    Raises:
        DataError: the bytes are not UTF-8 or not a CSV, a column is missing or stands twice, a row has another number
            of fields than the header, or there is no row.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            "bad characters", where=f"{where}, row {line}", expected="UTF-8", got=f"byte 0x{data[error.start]:02x}"
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines = _lines(reader, where)
    _, header = next(lines, (1, []))
    header = [name.strip() for name in header]
    if not header:
        raise DataError("empty table", where=where, expected=f"the columns {', '.join(columns)}", got="no header")
    for column in columns:
        if header.count(column) != 1:
            what = "missing column" if column not in header else "a column stands twice"
            raise DataError(f"{what} {column}", where=where, got=f"the columns {', '.join(header)}")
    rows = []
    for number, fields in lines:
        if len(fields) != len(header):
            raise DataError(
                "wrong number of fields", where=f"{where}, row {number}", expected=len(header), got=len(fields)
            )
        named = dict(zip(header, fields, strict=True))
        rows.append(Row(where, number, {column: named[column].strip() for column in columns}))
    if not rows:
        raise DataError("empty table", where=where, expected="a row a clip", got="a header alone")
    return rows


def _lines(reader: Iterator[list[str]], where: str) -> Iterator[tuple[int, list[str]]]:
    number = 0
    while True:
        number += 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError("not a CSV", where=f"{where}, row {number}", got=error) from None
        if fields:
            yield number, fields
