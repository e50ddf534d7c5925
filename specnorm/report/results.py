"""The folder of a comparison's results: written whole, and read only as it was written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from specnorm.comparison.document import Document
from specnorm.errors import IntegrityError
from specnorm.files import check_file, read_checked, read_sealed, write_bytes, write_sealed

FORMAT = 2
MANIFEST, VERDICT, REPORT, FIGURES = "manifest.json", "verdict.json", "report.html", "figures"


@dataclass(frozen=True)
class Results:
    """A checked folder: ``verdict`` is what ``docs/verdict.md`` describes."""

    folder: Path
    verdict: Document
    files: list[str]  # below the folder, in order


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make these the folder's files, by their paths in it; the manifest comes last, with their digests.

    Raises:
        ResourceError: a file cannot be written.
    """
    (folder / MANIFEST).unlink(missing_ok=True)  # until all are written there are no results
    for name, data in files.items():
        write_bytes(folder / name, data)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in files:
            path.unlink()  # of an earlier comparison
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    write_sealed(folder / MANIFEST, {"format": FORMAT, "sha256": digests})


def read(folder: Path) -> Results:
    """Read results after every file's digest was checked.

    Raises:
        IntegrityError: there are none, or a file is missing or is not the one that was written, or the verdict lacks a
            field or has one of another type; the message names the file.
    """
    digests = read_sealed(folder / MANIFEST, format=FORMAT).get("sha256")
    if not isinstance(digests, dict):
        raise IntegrityError("damaged manifest", where=folder / MANIFEST, expected="a digest of every file")
    for name, digest in digests.items():
        check_file(folder / name, digest)
    return Results(folder, _verdict(folder / VERDICT, digests.get(VERDICT)), sorted(digests))


def _verdict(path: Path, sha256: object) -> Document:
    try:
        return Document.model_validate_json(read_checked(path, sha256))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise IntegrityError("damaged verdict", where=path, got=f"{place}: {first['msg']}") from error
