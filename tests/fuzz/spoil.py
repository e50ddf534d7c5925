"""Sound bytes, documents and tables made into others: what a fuzz target draws from Hypothesis.

Every function takes Hypothesis's ``draw`` first, so that a failure shrinks to the fewest and plainest changes.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from hypothesis import reject
from hypothesis import strategies as st

_T = TypeVar("_T")
Draw = Callable[[st.SearchStrategy[Any]], Any]

# What stands where something else should: other types, edges, paths, what a terminal or a spreadsheet would obey.
ODD_TEXTS = (
    "",
    " ",
    "..",
    "../x",
    "/etc/passwd",
    "a/../b",
    "NaN",
    "1e999",
    "0x10",
    "=1+1",
    "\x1b[31m",
    "\u202e",
    "\0",
    "é",
)
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")]),
    st.integers(-3, 40),
    st.floats(),
    st.sampled_from(ODD_TEXTS),
    st.text(max_size=4),
    st.sampled_from([[], {}, [[]], [None], [1.5, "x"], {"x": None}, [[1.0], [1.0, 2.0]], "x" * 5000]),
)


def one_of(draw: Draw, *ways: Callable[[], _T]) -> _T:
    """What one of several functions gives."""
    return ways[draw(st.integers(0, len(ways) - 1))]()


def change(draw: Draw, data: bytes) -> bytes:
    """Bytes with one to four places set, cut out, doubled, filled in, or the end cut off."""
    spoiled = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, min(len(spoiled), 200)) | st.integers(0, len(spoiled)))
        length = draw(st.integers(1, 16))
        new = one_of(
            draw,
            lambda: draw(st.binary(min_size=1, max_size=8)),
            lambda: bytes(8),
            lambda: b"\xff" * 4,
            lambda: draw(st.integers(0, 2**32 - 1)).to_bytes(4, "little"),
            lambda: draw(st.integers(0, 2**32 - 1)).to_bytes(4, "big"),
        )
        how = draw(st.sampled_from(["set", "insert", "remove", "double", "cut"]))
        if how == "set":
            spoiled[place : place + len(new)] = new
        elif how == "insert":
            spoiled[place:place] = new
        elif how == "remove":
            del spoiled[place : place + length]
        elif how == "double":
            spoiled[place:place] = spoiled[place : place + length]
        else:
            del spoiled[place:]
    return bytes(spoiled)


def change_document(draw: Draw, document: Any) -> Any:
    """A JSON-like document with one to three values replaced, retyped, removed, added or put in another's place."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(changed))
        if not places:
            return draw(VALUES)
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        other, other_key = places[draw(st.integers(0, len(places) - 1))]
        value = holder[key]
        how = draw(st.sampled_from(["value", "value", "retype", "remove", "add", "swap"]))
        if how == "value":
            holder[key] = draw(VALUES)
        elif how == "retype":
            retyped = [str(value), [value], {"value": value}, bool(value)]
            if isinstance(value, int | float):
                retyped += [value + 1, -value]
            holder[key] = retyped[draw(st.integers(0, len(retyped) - 1))]
        elif how == "remove":
            del holder[key]
        elif how == "swap":
            holder[key] = copy.deepcopy(other[other_key])
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(["x", "", "kind", "sha256"]))] = copy.deepcopy(value)
        else:
            holder.insert(key, copy.deepcopy(value))
    return changed


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every list and mapping in a document, with each of its keys."""
    keys = document.keys() if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in list(keys):
        yield document, key
        yield from _places(document[key])


def change_json(draw: Draw, data: bytes) -> bytes:
    """A JSON file with other values, or with other bytes."""
    document = json.loads(data)
    return one_of(
        draw,
        lambda: json.dumps(change_document(draw, document)).encode(errors="surrogatepass"),
        lambda: json.dumps(draw(VALUES)).encode(errors="surrogatepass"),
        lambda: b"[" * draw(st.integers(1, 100_000)),
        lambda: change(draw, data),
    )


def change_csv(draw: Draw, data: bytes) -> bytes:
    """A CSV with other cells, rows, columns, quotes or line ends, or with other bytes."""

    def cells() -> bytes:
        rows = list(csv.reader(io.StringIO(data.decode())))
        for _ in range(draw(st.integers(1, 3))):
            row = draw(st.integers(0, len(rows) - 1))
            how = draw(st.sampled_from(["cell", "cell", "remove", "double", "short", "long"]))
            if how == "cell" and rows[row]:
                odd = st.sampled_from(ODD_TEXTS) | st.text(max_size=4) | VALUES.map(str)
                rows[row][draw(st.integers(0, len(rows[row]) - 1))] = draw(odd)
            elif how == "remove" and len(rows) > 1:
                del rows[row]
            elif how == "double":
                rows.insert(row, list(rows[draw(st.integers(0, len(rows) - 1))]))
            elif how == "short":
                rows[row] = rows[row][:-1]
            else:
                rows[row] = [*rows[row], "more"]
        text = io.StringIO()
        ends = draw(st.sampled_from(["\n", "\r\n", "\r"]))
        quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        csv.writer(text, lineterminator=ends, quoting=quoting).writerows(rows)
        codec = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]))
        return text.getvalue().encode(codec, errors="replace")

    return one_of(draw, cells, cells, lambda: change(draw, data))


def change_parquet(draw: Draw, data: bytes) -> bytes:
    """A Parquet file with other columns, types, cells or rows, or with other bytes."""

    def table() -> bytes:
        frame = pd.read_parquet(io.BytesIO(data))
        for _ in range(draw(st.integers(1, 2))):
            name = draw(st.sampled_from(sorted(frame.columns))) if len(frame.columns) else reject()
            how = draw(st.sampled_from(["drop", "rename", "retype", "cells", "rows", "none"]))
            if how == "drop":
                frame = frame.drop(columns=name)
            elif how == "rename":
                frame = frame.rename(columns={name: draw(st.sampled_from(["x", "", f"{name} "]))})
            elif how == "retype":
                frame[name] = [draw(VALUES.filter(_fits))] * len(frame)
            elif how == "cells":
                values = frame[name].tolist()
                values[draw(st.integers(0, len(values) - 1))] = draw(
                    st.sampled_from([-1, 10**6, 1e9, -0.5, np.nan, 0.5])
                )
                frame[name] = values
            elif how == "none":
                frame[name] = None
            else:
                count = draw(st.sampled_from([0, 1, 100_000]))
                frame = frame.iloc[[0] * count] if len(frame) else frame
        buffer = io.BytesIO()
        try:
            frame.to_parquet(buffer, index=False)
        except Exception:  # mixed types: no such file can be made
            reject()
        return buffer.getvalue()

    return one_of(draw, table, table, lambda: change(draw, data))


def _fits(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) < 2**63


def change_npy(draw: Draw, data: bytes) -> bytes:
    """An NPY file with another header before the same values, or with other bytes."""

    def header() -> bytes:
        kinds = ["'<f4'", "'<f8'", "'>f4'", "'|O'", "'<i4'", "'<U3'", "[('a', '<f4')]", "'nonsense'", "None", "7"]
        sizes = st.sampled_from([0, 1, 2, 3, -1, 10**6, 2**40, 2**63])
        shape = tuple(draw(st.lists(sizes, max_size=5)))
        text = f"{{'descr': {draw(st.sampled_from(kinds))}, 'fortran_order': {draw(st.booleans())}, 'shape': {shape}}}"
        encoded = text.encode().ljust(118) + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(encoded)) + encoded + data[128:]

    return one_of(draw, header, lambda: change(draw, data))


def change_safetensors(draw: Draw, data: bytes) -> bytes:
    """A safetensors file with another header before the same values, or with other bytes."""

    def header() -> bytes:
        size = int.from_bytes(data[:8], "little")
        text = json.dumps(change_document(draw, json.loads(data[8 : 8 + size]))).encode(errors="surrogatepass")
        claimed = draw(st.just(len(text)) | st.sampled_from([0, 1, 10**9, 2**63, 2**64 - 1]))
        return claimed.to_bytes(8, "little") + text + data[8 + size :]

    return one_of(draw, header, header, lambda: change(draw, data))


_BY_SUFFIX = {
    ".json": change_json,
    ".csv": change_csv,
    ".parquet": change_parquet,
    ".npy": change_npy,
    ".safetensors": change_safetensors,
}


def change_folder(draw: Draw, folder: Path, names: Sequence[str] | None = None) -> None:
    """Change one file below a folder in the way of its kind; or take it away, or put another's bytes in its place.

    Args:
        draw: Hypothesis's.
        folder: where.
        names: the files to choose from; all of them where none are given.
    """
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    name = draw(st.sampled_from(sorted(names or found)))
    path = folder / name
    how = draw(st.sampled_from(["change"] * 8 + ["remove", "other"]))
    if how == "remove":
        path.unlink()
    elif how == "other":
        path.write_bytes((folder / draw(st.sampled_from(found))).read_bytes())
    else:
        path.write_bytes(_BY_SUFFIX.get(path.suffix, change)(draw, path.read_bytes()))
