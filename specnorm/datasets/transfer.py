"""One file over HTTP into a part beside its destination: resumed where that is safe, retried where that can help."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import requests
from tqdm import tqdm
from urllib3.exceptions import InvalidHeader, MaxRetryError
from urllib3.util.retry import RequestHistory, Retry

from specnorm.datasets.credentials import TOKEN, Bearer
from specnorm.datasets.urls import next_url, refuse_url, visible_url
from specnorm.errors import IntegrityError, ResourceError, SpecnormError
from specnorm.files import read_json, write_json

ATTEMPTS = 4
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
PATIENCE_S = 44.0  # without a byte: no attempt begins after it, so that a silent server costs less than a minute
LONGEST_WAIT_S = 60.0  # whatever a server asks for
REDIRECTS = 5

_CHUNK = 2**14  # bytes; of an incomplete chunk nothing is kept
# Asked for its counting and its waits alone: mounted on the session, it would repeat a request as it was, from the
# first byte. It does not wait before a second attempt, so it is told of one failure ahead: it waits 1, 2 and 4 s.
_RETRY = Retry(
    total=ATTEMPTS - 1,
    status_forcelist={408, 425, 429, 500, 502, 503, 504},  # what waiting may help
    backoff_factor=0.5,
    history=(RequestHistory("GET", None, None, None, None),),
)
_REDIRECT = {301, 302, 303, 307, 308}
_CONTENT_RANGE = re.compile(r"^bytes (\d+)-\d+/(\d+|\*)$")


class _Transient(Exception):  # noqa: N818 (never leaves this module)
    """A failure that another attempt may mend; ``final`` is what to raise when none is left."""

    def __init__(self, final: SpecnormError, *, retry_after: str | None = None) -> None:
        super().__init__(str(final))
        self.final = final
        self.retry_after = retry_after  # as the server said it


class _Remembered(NamedTuple):
    """What ``.part.json`` says about the part: where it comes from and what it will be."""

    url: str
    etag: str | None
    size: int | None


def part_of(destination: Path) -> Path:
    """Where the bytes gather until they are whole."""
    return destination.with_name(destination.name + ".part")


def discard_part(destination: Path) -> None:
    """Forget what was gathered for ``destination``."""
    part_of(destination).unlink(missing_ok=True)
    _memory_of(destination).unlink(missing_ok=True)


def fetch_part(url: str, destination: Path, *, sleep: Callable[[float], None] = time.sleep, progress: bool) -> Path:
    """Gather all bytes of ``url`` in the part of ``destination``, going on where an earlier attempt stopped.

    A part goes on only when the server says that it is the same version (a strong ETag with ``If-Range``) and answers
    with the very byte that comes next; otherwise it starts again from nothing.

    Returns:
        The part; its length is what the server announced.

    Raises:
        ConfigurationError: the URL is not http or https, or what the environment holds is no token.
        OSError: the disk is full or cannot be written.
        ResourceError: the server cannot be reached, refuses, or fails in every attempt.
        IntegrityError: the body is shorter than announced in every attempt (the part is kept), or a redirect leads
            from https to anything else.
    """
    refuse_url(url)
    retry, heard = _RETRY, monotonic()
    while True:
        had = _size(part_of(destination))
        try:
            _gather(url, destination, progress)
            return part_of(destination)
        except _Transient as failure:
            if _size(part_of(destination)) > had or failure.retry_after is not None:
                heard = monotonic()
            elif monotonic() - heard > PATIENCE_S:
                raise failure.final from failure
            try:
                retry = retry.increment("GET", visible_url(url), error=failure)
            except MaxRetryError:
                raise failure.final from failure
            sleep(_wait_s(retry, failure.retry_after))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _wait_s(retry: Retry, asked: str | None) -> float:
    wait_s = retry.get_backoff_time()
    if asked is not None:
        with suppress(InvalidHeader, ValueError, OverflowError):  # no date, or none that a calendar has
            wait_s = retry.parse_retry_after(asked)
    return min(wait_s, LONGEST_WAIT_S)


def _gather(url: str, destination: Path, progress: bool) -> None:
    part = part_of(destination)
    have, memory = _resumable(url, destination)
    if memory is not None and have == memory.size:
        return
    total: int | None = None
    headers = {"Accept-Encoding": "identity"}
    if memory is not None and memory.etag is not None:
        headers |= {"Range": f"bytes={have}-", "If-Range": memory.etag}
    try:
        with requests.Session() as session, _answer(session, url, headers) as response:
            if response.status_code == 206 and memory is not None and _goes_on(response, have, memory):
                total = memory.size
            elif response.status_code == 200:
                have, total = 0, _announced(response)
                part.parent.mkdir(parents=True, exist_ok=True)
                part.write_bytes(b"")
                memory = _Remembered(visible_url(url), _strong_etag(response), total)
                write_json(_memory_of(destination), memory._asdict())
            else:
                discard_part(destination)
                raise _Transient(
                    ResourceError("bad answer", where=visible_url(url), got=f"HTTP {response.status_code} to a range")
                )
            _append(response, part, have, total, progress)
    except requests.RequestException as error:
        raise _sorted_out(error, url, part, total) from error
    got = part.stat().st_size
    if total is not None and got != total:
        raise _Transient(_wrong_size(url, total, got))


def _answer(session: requests.Session, url: str, headers: dict[str, str]) -> requests.Response:
    token = Bearer(url)
    for _ in range(REDIRECTS + 1):
        # Redirects are followed here, because requests would follow one from https to http.
        response = session.get(
            url,
            headers=headers,
            auth=token.for_(url),
            stream=True,
            allow_redirects=False,
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        )
        status = response.status_code
        if status in (200, 206, 416):
            return response
        response.close()
        if status in _REDIRECT and "Location" in response.headers:
            url = next_url(url, response.headers["Location"])
            continue
        refusal = ResourceError(
            "download refused", where=visible_url(url), expected="HTTP 200", got=f"HTTP {status}", hint=_advice(status)
        )
        if _RETRY.is_retry("GET", status):
            raise _Transient(refusal, retry_after=response.headers.get("Retry-After"))
        raise refusal
    raise ResourceError("too many redirects", where=visible_url(url), expected=f"at most {REDIRECTS}")


def _append(response: requests.Response, part: Path, have: int, total: int | None, progress: bool) -> None:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise IntegrityError("encoded download", where=part, got=response.headers["Content-Encoding"])
    with (
        part.open("r+b") as handle,
        tqdm(
            desc=part.stem, total=total, initial=have, unit="B", unit_scale=True, disable=None if progress else True
        ) as bar,
    ):
        handle.seek(have)
        for chunk in response.iter_content(_CHUNK):
            handle.write(chunk)
            bar.update(len(chunk))
        handle.flush()
        os.fsync(handle.fileno())


def _resumable(url: str, destination: Path) -> tuple[int, _Remembered | None]:
    # What cannot be continued for certain is thrown away, never spliced.
    part = part_of(destination)
    try:
        have = part.stat().st_size
        memory = _Remembered(**read_json(_memory_of(destination)))
        fits = memory.url == visible_url(url) and (memory.size is None or have <= memory.size)
        if fits and have > 0 and memory.etag is not None:
            return have, memory
    except (OSError, IntegrityError, TypeError):
        pass
    discard_part(destination)
    return 0, None


def _goes_on(response: requests.Response, have: int, memory: _Remembered) -> bool:
    match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    same = response.headers.get("ETag", memory.etag) == memory.etag
    return match is not None and int(match[1]) == have and same


def _announced(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"\d{1,18}", length) else None


def _strong_etag(response: requests.Response) -> str | None:
    # A weak one promises the same meaning, not the same bytes.
    etag = response.headers.get("ETag")
    return etag if etag is not None and etag.startswith('"') else None


def _sorted_out(error: requests.RequestException, url: str, part: Path, total: int | None) -> Exception:
    root = _root_of(error)
    reason = root.strerror or type(root).__name__ if isinstance(root, OSError) else type(root).__name__
    failure = ResourceError(
        "download failed",
        where=visible_url(url),
        got=reason,
        hint="Check the network and rerun, or fetch the file by hand and set dataset.source",
    )
    if isinstance(error, requests.exceptions.SSLError):
        return ResourceError("untrusted server", where=visible_url(url), got=reason)
    if isinstance(error, requests.exceptions.ChunkedEncodingError) and not isinstance(root, OSError):
        return _Transient(_wrong_size(url, total, part.stat().st_size))
    if isinstance(error, requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError):
        return _Transient(failure)
    return failure


def _wrong_size(url: str, total: int | None, got: int) -> IntegrityError:
    return IntegrityError(
        "wrong size of a download",
        where=visible_url(url),
        expected="the end of the body" if total is None else f"{total} bytes",
        got=f"{got} bytes",
        hint="What came is kept: rerun to go on",
    )


def _root_of(error: BaseException) -> BaseException:
    # The texts of requests and urllib3 repeat the URL with its query; the first cause says what happened without it.
    seen = {id(error)}
    while True:
        inner = [item for item in error.args if isinstance(item, BaseException)]
        following = getattr(error, "reason", None) or error.__cause__ or error.__context__ or (inner and inner[-1])
        if not isinstance(following, BaseException) or id(following) in seen:
            return error
        seen.add(id(following))
        error = following


def _advice(status: int) -> str:
    if status in (401, 403):
        return (
            "The server asks for permission: give it a password in ~/.netrc or, over https, a token in the "
            f"environment's {TOKEN}, or fetch the file by hand and set dataset.source"
        )
    if status in (404, 410):
        return "Check dataset.url, or fetch the file by hand and set dataset.source"
    return "Try again later, or fetch the file by hand and set dataset.source"


def _memory_of(destination: Path) -> Path:
    return destination.with_name(destination.name + ".part.json")
