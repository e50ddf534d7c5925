"""Small data sets for tests: ESC-50's layout and tables, built in code."""

from __future__ import annotations

import csv
import hashlib
import io
import wave
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from specnorm.datasets import esc50
from specnorm.params.dataset import CsvParams, EscParams, FolderParams

ESC10 = (0, 1, 10, 11, 12, 20, 21, 38, 40, 41)
SHARED = {
    (2, 2): "131943",
    (3, 3): "131943",
    (2, 4): "134049",
    (3, 5): "134049",
    (4, 6): "209698",
    (5, 7): "209698",
    (4, 8): "234879",
    (5, 9): "234879",
}

Rows = list[dict[str, Any]]


def esc_row(fold: int, source: int | str, take: str, target: int, suffix: str = "ogg") -> dict[str, Any]:
    return {
        "filename": f"{fold}-{source}-{take}-{target}.{suffix}",
        "fold": fold,
        "target": target,
        "category": f"class_{target}",
        "esc10": target in ESC10,
        "src_file": source,
        "take": take,
    }


def published_rows() -> Rows:
    """2000 rows that show all published facts of ESC-50; 400 of them those of ESC-10."""
    rows: Rows = []
    source = 1000
    doubled = {True: 48, False: 188}  # classes of a fold with two recordings that give two clips each
    for fold in range(1, 6):
        for target in range(50):
            pairs = 2 if doubled[target in ESC10] > 0 else 0
            doubled[target in ESC10] -= 1
            for index in range(8 - pairs):
                source += 1
                name = SHARED.get((fold, target), source) if index == 7 - pairs else source
                rows.append(esc_row(fold, name, "A", target))
                if index < pairs:
                    rows.append(esc_row(fold, name, "B", target))
    return sorted(rows, key=lambda row: row["filename"])  # as the published table is


def pin_made_up_rows(patch: pytest.MonkeyPatch) -> None:
    """Have :func:`published_rows` for the published table."""
    for subset, facts in esc50.PUBLISHED.items():
        rows = [row for row in published_rows() if subset == "all" or row["esc10"]]
        text = csv_bytes(rows).replace(b".ogg", b".wav")
        patch.setitem(esc50.PUBLISHED, subset, facts._replace(table_sha256=hashlib.sha256(text).hexdigest()))


def cut_rows(suffix: str = "ogg") -> Rows:
    """Eight clips of two ESC-10 classes in two folds."""
    return [esc_row(f, 100 * f + t + n, "A", t, suffix) for f in (1, 2) for t in (10, 38) for n in (1, 2)]


def csv_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return path


def write_folder(path: Path, members: Mapping[str, bytes]) -> Path:
    for name, data in members.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return path


def esc_members(rows: Rows, top: str = "ESC-50-master/", table: bytes | None = None) -> dict[str, bytes]:
    """Every clip of the rows as a few distinct bytes, and the table."""
    members = {f"{top}audio/{row['filename']}": row["filename"].encode() for row in rows}
    return {**members, f"{top}meta/esc50.csv": csv_bytes(rows) if table is None else table}


def esc_params(**changes: Any) -> EscParams:
    values = {
        "kind": "esc50",
        "name": None,
        "subset": "all",
        "source": None,
        "complete": False,
        "url": "https://example.org/master.zip",
        "size": None,
        "md5": "0" * 32,
    }
    return EscParams.model_validate({**values, **changes})


def csv_params(**changes: Any) -> CsvParams:
    values = {
        "kind": "csv",
        "name": None,
        "source": "clips.zip",
        "table": "metadata.csv",
        "table_sha256": None,
        "audio": ".",
        "filename_column": "filename",
        "label_column": "label",
        "fold_column": None,
        "group_column": None,
        "strict_labels": False,
        "folds": 2,
        "seed": 0,
    }
    return CsvParams.model_validate({**values, **changes})


def folder_params(**changes: Any) -> FolderParams:
    values = {
        "kind": "folder",
        "name": None,
        "source": "clips",
        "group_pattern": None,
        "strict_labels": False,
        "folds": 2,
        "seed": 0,
    }
    return FolderParams.model_validate({**values, **changes})


def wav_bytes(frames: int, *, rate: int = 44100, channels: int = 1, width: int = 2) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as written:
        written.setnchannels(channels)
        written.setsampwidth(width)
        written.setframerate(rate)
        written.writeframes(bytes(frames * channels * width))
    return buffer.getvalue()
