"""Digests edited to match, so that what is behind a digest is fuzzed and not the digest alone."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from specnorm import files

_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def digests(folder: Path) -> dict[Path, str]:
    """The digest of every file below a folder."""
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def reseal(folder: Path, before: dict[Path, str]) -> None:
    """Let the folder's JSON files name the digests that its files now have, and carry their own.

    Args:
        folder: where.
        before: :func:`digests` before the change.
    """
    documents = [path for path in before if path.suffix == ".json" and path.exists()]
    known = dict(before)
    for _ in range(3):  # a document that names another one comes right a round later
        now = digests(folder)
        moved = {known[path]: now[path] for path in known if path in now and known[path] != now[path]}
        known |= now
        for path in documents:
            with suppress(ValueError, RecursionError):
                text = path.read_text(encoding="utf-8")
                for old, new in moved.items():
                    text = text.replace(old, new)
                path.write_text(json.dumps(_sealed(json.loads(text))), encoding="utf-8")


def _sealed(document: Any) -> Any:
    """A document with the digests of its own parts, as :mod:`specnorm.files` makes them."""
    if not isinstance(document, dict):
        return document
    if "front_end_fingerprint" in document and "front_end" in document:
        document["front_end_fingerprint"] = files.fingerprint(document["front_end"])
    if "seal" in document:
        document["seal"] = files.fingerprint({key: value for key, value in document.items() if key != "seal"})
    return document


def seal_sound(container: str, data: bytes) -> bytes:
    """Audio whose container's own checksums and lengths fit the rest, or are said not to be there."""
    sealed = bytearray(data)
    if container == "WAV" and len(data) >= 8:
        struct.pack_into("<I", sealed, 4, len(data) - 8)
    elif container == "AIFF" and len(data) >= 8:
        struct.pack_into(">I", sealed, 4, len(data) - 8)
    elif container == "FLAC" and len(data) >= 42:
        sealed[26:42] = bytes(16)
    elif container == "MP3" and (place := data.find(b"LAME")) >= 0 and len(data) >= place + 36:
        sealed[place + 34 : place + 36] = bytes(2)
    elif container == "OGG":
        start = 0
        while (start := sealed.find(b"OggS", start)) >= 0 and len(sealed) >= start + 27:
            segments = sealed[start + 27 : start + 27 + sealed[start + 26]]
            end = start + 27 + len(segments) + sum(segments)
            sealed[start + 22 : start + 26] = bytes(4)
            page = bytes(sealed[start:end])
            reflected = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
            struct.pack_into("<I", sealed, start + 22, int(f"{reflected:032b}"[::-1], 2))
            start += 27
    return bytes(sealed)
