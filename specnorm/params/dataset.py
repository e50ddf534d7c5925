"""The parameters of a data set, a model a kind: the section ``dataset`` of all parameters."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import parse_qsl

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from specnorm.params.strict import Seed, Strict
from specnorm.refusal import hidden, written

# What servers call a secret in an address, a signature of one's own included.
_SECRET = re.compile(
    r"token|secret|signature|credential|passw|authoriz|access_?key|key$|(^|[^a-z])(sig|auth|pw|pwd|jwt)([^a-z]|$)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?P<scheme>([A-Za-z][A-Za-z0-9+.-]*:)?//)?(?P<authority>[^/?#]*)(?P<after>.*)", re.DOTALL)
_PLAIN = r"(?=.*\S)[^\x00-\x1f\x7f]{1,4096}"  # as long as a path may be


def _with_one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError) as error:
        wrong = str(error)
    else:
        wrong = f"{groups} groups; (?:...) makes none" if groups != 1 else ""
    if wrong:
        # The braces of an expression are no place of pydantic's template, so the words come as a value.
        words = f"a regular expression with exactly one group ({wrong})"
        raise PydanticCustomError("pattern", "{words}", {"words": words})
    return pattern


def _without_secret(url: str) -> str:
    """Refuse what would stand in files, caches and logs for good; the refusal does not repeat it."""
    _, authority, after = _parts(url)
    if "@" in authority:
        raise hidden("an address without user and password, which ~/.netrc may hold for its host", _host_alone(url))
    query = "&".join(re.split(r"[?#;]", after)[1:])  # some servers part by semicolons, also within the path
    secret = next((key for key, _ in parse_qsl(query, keep_blank_values=True) if _SECRET.search(key)), None)
    if secret is not None:
        words = f"an address without {secret}=, which SPECNORM_DOWNLOAD_TOKEN in the environment may hold instead"
        raise hidden(words, _host_alone(url))
    return url


def _on_this_machine(source: str) -> str:
    if ":" in _parts(source)[0]:
        raise hidden("a zip or a folder on this machine, and no address", _host_alone(source))
    return source


def _host_alone(address: str) -> str:
    scheme, authority, _ = _parts(address)
    return f"{scheme}{authority.rpartition('@')[2]}/..."


def _parts(address: str) -> tuple[str, str, str]:
    """The scheme with its slashes, the user and host, and what follows; whatever is not there is empty."""
    found = _ADDRESS.fullmatch(address)
    assert found is not None  # every part may be empty
    return found["scheme"] or "", found["authority"], found["after"]


_Url = Annotated[str, AfterValidator(_without_secret)]
_Source = Annotated[
    str,
    # ??? is Hydra's mark of a value to be given.
    written(rf"(?!\?{{3}}$){_PLAIN}", "a zip or a folder"),
    AfterValidator(_on_this_machine),
]
_Column = Annotated[str, written(_PLAIN, "a column's name")]


class _DatasetParams(Strict):
    # What titles, MLflow's data sets and its registered model call the data set; null: the source's name.
    name: Annotated[str, written(r"\w[\w .-]{0,99}(?<! )", "up to 100 letters, digits, spaces and . _ -")] | None


class EscParams(_DatasetParams):
    """ESC-50, or any archive or folder in its layout."""

    kind: Literal["esc50"]
    subset: Literal["all", "esc10"]
    source: _Source | None  # a zip or a folder on this machine; null downloads `url`
    complete: bool  # hold the published table and counts to be true; false accepts a cut
    url: _Url
    size: Annotated[int, Field(gt=0)] | None  # bytes; null where the host promises none
    md5: Annotated[str, written(r"[0-9a-f]{32}", "32 digits from 0 to f")]


class FolderParams(_DatasetParams):
    """A folder or a zip with one sub-folder of audio files a class."""

    kind: Literal["folder"]
    source: _Source
    # On a file's name; its one group names the recording, the speaker or the machine. Null: every clip is its own.
    group_pattern: Annotated[str, AfterValidator(_with_one_group)] | None
    strict_labels: bool  # refuse what is otherwise a warning: labels or groups that look alike, one clip twice
    folds: Annotated[int, Field(ge=2, le=100)]  # how many to make
    seed: Seed


class CsvParams(_DatasetParams):
    """A folder or a zip of audio files with a CSV that labels them."""

    kind: Literal["csv"]
    source: _Source
    table: Annotated[str, written(_PLAIN, "a CSV's path inside the source")]
    # Of the CSV's bytes, where its labels must not change unseen; null takes any.
    table_sha256: Annotated[str, written(r"[0-9a-f]{64}", "64 digits from 0 to f")] | None
    # The folder that file names are relative to.
    audio: Annotated[str, written(_PLAIN, "a folder's path inside the source, . for its top")]
    filename_column: _Column
    label_column: _Column
    fold_column: _Column | None  # null: folds are made
    group_column: _Column | None  # clips of one group stay in one fold; null: every clip is its own group
    strict_labels: bool  # as for a folder
    folds: Annotated[int, Field(ge=2, le=100)]  # how many to make
    seed: Seed


class SyntheticParams(_DatasetParams):
    """A generated data set of ten physically distinct sound classes."""

    kind: Literal["synthetic"]
    sources: Annotated[int, Field(ge=1, le=1000)]  # source recordings a class and fold
    clips: Annotated[int, Field(ge=1, le=100)]  # clips a source recording
    folds: Annotated[int, Field(ge=2, le=100)]
    sample_rate: Annotated[int, Field(ge=8000, le=192000)]  # Hz
    clip_seconds: Annotated[float, Field(ge=0.25, le=60)]
    seed: Seed


DatasetParams = Annotated[EscParams | FolderParams | CsvParams | SyntheticParams, Field(discriminator="kind")]


def folds_of(dataset: DatasetParams) -> int | None:
    """How many folds a data set has, where its parameters tell; a fold column is read much later."""
    if isinstance(dataset, EscParams):
        return 5
    if isinstance(dataset, CsvParams) and dataset.fold_column is not None:
        return None
    return dataset.folds
