"""Tables in Parquet, read only where they are as long as they must be and have the columns that they must have."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import is_float_dtype, is_integer_dtype, is_string_dtype

from specnorm.errors import IntegrityError

Kind = Literal["text", "a whole number", "a number"]

_KINDS = {"text": is_string_dtype, "a whole number": is_integer_dtype, "a number": is_float_dtype}
# Many times what packing leaves of our tables, in which every clip's name is another.
_MOST_TIMES_PACKED = 100


def read_table(data: bytes, *, rows: int, where: object) -> pd.DataFrame:
    """The table of a Parquet file, after what it says of its size: a file of some kilobytes may hold 10^8 rows.

    Args:
        data: the file's bytes.
        rows: how many it must have.
        where: the file, for errors.

    Raises:
        IntegrityError: it is no Parquet file, or is of another size.
    """
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        found = file.metadata
        if found.num_rows != rows:
            raise IntegrityError("wrong table", where=where, expected=f"{rows} rows", got=found.num_rows)
        unpacked = sum(found.row_group(index).total_byte_size for index in range(found.num_row_groups))
        if max(rows, unpacked / _MOST_TIMES_PACKED) > len(data):
            expected = f"what {len(data)} bytes may hold of clips with names"
            raise IntegrityError("wrong table", where=where, expected=expected, got=f"{rows} rows, {unpacked} bytes")
        table: pd.DataFrame = file.read().to_pandas()
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError("wrong table", where=where, expected="Parquet", got=error) from error
    return table


def check_columns(table: pd.DataFrame, columns: Mapping[str, Kind], *, where: object) -> None:
    """Refuse a table that lacks one of ``columns``, or has it of another kind, or a value of it missing.

    Raises:
        IntegrityError: it does; the message names the column.
    """
    for name, kind in columns.items():
        if name not in table:
            raise IntegrityError("wrong table", where=where, expected=f"a column {name}", got=", ".join(table.columns))
        column = table[name]
        if column.isna().any() or not _KINDS[kind](column):
            found = "a value missing" if column.isna().any() else column.dtype
            raise IntegrityError("wrong table", where=where, expected=f"{kind} in column {name}", got=found)
