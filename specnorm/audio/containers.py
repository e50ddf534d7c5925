"""Containers of audio: which one a file is by its first bytes, and what those bytes then promise."""

from __future__ import annotations

from pathlib import PurePosixPath

from specnorm.audio.formats import aiff, flac, mp3, ogg, wav
from specnorm.audio.formats.layout import Promise
from specnorm.errors import DataError

HEAD_BYTES = 4096  # a WAV header with the usual chunks before the samples fits

_BY_SUFFIX = {
    ".wav": "WAV",
    ".wave": "WAV",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".aifc": "AIFF",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".mp3": "MP3",
}
SUFFIXES = tuple(_BY_SUFFIX)  # of the file names that are read as audio, in small letters
_PROMISES = {"WAV": wav.promise, "AIFF": aiff.promise, "FLAC": flac.promise, "OGG": ogg.promise, "MP3": mp3.promise}

# Formats that are not read, though libsndfile reads some: none of what they promise is checked here, and a file that
# is cut would come out short in silence.
_OTHERS_BY_SUFFIX = {".au": "AU", ".snd": "AU", ".caf": "CAF", ".rf64": "RF64", ".w64": "W64"}
_OTHERS_BY_START = (
    (0, b".snd", "AU"),
    (0, b"caff", "CAF"),
    (0, b"RF64", "RF64"),
    (0, b"BW64", "BW64"),
    (0, b"RIFX", "big-endian WAV"),
    (0, b"riff\x2e\x91\xcf\x11", "W64"),
    (0, b"NIST_1A\n", "NIST Sphere"),
    (4, b"ftyp", "MP4"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
    (0, b"\x1a\x45\xdf\xa3", "WebM"),
    (0, b"#!AMR", "AMR"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
)


def container_of(data: bytes, name: str) -> str:
    """The format by the first bytes, which must be the one that the name promises.

    Raises:
        DataError: the bytes are not audio, are of a format that is not read, or of another than the name says.
    """
    refuse_others(data, name)
    start = data[:12]
    found = None
    if start[:4] == b"RIFF" and start[8:] in (b"WAVE", b"WAVE"[: max(len(data) - 8, 0)]):
        found = "WAV"
    elif start[:4] == b"FORM" and start[8:] in (b"AIFF", b"AIFC"):
        found = "AIFF"
    elif start[:4] == b"fLaC":
        found = "FLAC"
    elif start[:4] == b"OggS":
        found = "OGG"
    # An ID3 tag, or a frame's 11 sync bits with layer III (UTF-16 text, FF FE, would be layer I).
    elif start[:3] == b"ID3" or (len(start) > 1 and start[0] == 0xFF and start[1] & 0xE6 == 0xE2):
        found = "MP3"
    if found is None:
        got = f"first bytes {start!r}" if data else "an empty file"
        raise DataError("not audio", where=name, expected="WAV, AIFF, FLAC, Ogg or MP3", got=got)
    promised = _BY_SUFFIX.get(PurePosixPath(name).suffix.lower(), found)
    if promised != found:
        raise DataError("format mismatch", where=name, expected=f"{promised} by its name", got=f"{found} bytes")
    return found


def refuse_others(start: bytes, name: str) -> None:
    """Refuse audio of a format that is not read, by its name or its first bytes.

    Raises:
        DataError: the name ends as that of such a file, or the file begins as one.
    """
    found = _OTHERS_BY_SUFFIX.get(PurePosixPath(name).suffix.lower())
    found = next((other for place, mark, other in _OTHERS_BY_START if start.startswith(mark, place)), found)
    if found is not None:
        raise DataError(
            "unsupported audio",
            where=name,
            expected="WAV, AIFF, FLAC, Ogg or MP3",
            got=found,
            hint="Convert it to FLAC or WAV",
        )


def check_whole(container: str, data: bytes, name: str) -> Promise:
    """Hold a file to its container's own promises; returns what it promises of its samples.

    Raises:
        DataError: the file is cut or damaged, or of a form that libsndfile would shorten in silence.
    """
    return _PROMISES[container](data, name)
