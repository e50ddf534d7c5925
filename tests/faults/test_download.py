"""Bad networks: whatever happens, the destination is the published file or is absent."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path

import pytest
import requests
import urllib3

from specnorm.datasets import transfer
from specnorm.datasets.credentials import TOKEN
from specnorm.datasets.download import DownloadResult, download
from specnorm.datasets.transfer import part_of
from specnorm.datasets.urls import next_url, visible_url
from specnorm.errors import ConfigurationError, IntegrityError, ResourceError
from tests.faults.server import Reply, serve


def zip_of(text: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr(zipfile.ZipInfo("a"), text)
    return buffer.getvalue()


BODY = zip_of(bytes(range(256)) * 4000)
OTHER = zip_of(bytes(range(255, -1, -1)) * 4000)  # as long as BODY
CUT = 25 * 2**14  # whole chunks of the client
MD5 = hashlib.md5(BODY).hexdigest()


class Fetch:
    """Downloads to one place and remembers the waits instead of waiting."""

    def __init__(self, folder: Path) -> None:
        self.destination = folder / "cache" / "clips.zip"
        self.waits: list[float] = []

    def __call__(self, url: str, *, size: int | None = None, accept_other_bytes: bool = False) -> DownloadResult:
        return download(
            url,
            self.destination,
            size=size,
            md5=MD5,
            accept_other_bytes=accept_other_bytes,
            sleep=self.waits.append,
            progress=False,
        )

    @property
    def part(self) -> Path:
        return part_of(self.destination)

    def is_clean(self) -> bool:
        return not list(self.destination.parent.glob("*.part*"))


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    return Fetch(tmp_path)


def child_downloading(url: str, destination: Path) -> subprocess.Popen[bytes]:
    program = (
        "import sys; from pathlib import Path; from specnorm.datasets.download import download\n"
        "download(sys.argv[1], Path(sys.argv[2]), size=None, md5=sys.argv[3], accept_other_bytes=False)"
    )
    return subprocess.Popen([sys.executable, "-c", program, url, str(destination), MD5])


def ranges(requests: list[dict[str, str]]) -> list[str | None]:
    return [request.get("Range") for request in requests]


@pytest.mark.parametrize(
    "reply", [Reply(BODY), Reply(BODY, chunked=True), Reply(BODY, etag=None)], ids=["length", "chunked", "no-etag"]
)
def test_a_download_is_verified_and_leaves_nothing_else(fetch: Fetch, reply: Reply) -> None:
    with serve(reply) as server:
        result = fetch(server.url, size=len(BODY))
    assert result == (fetch.destination, len(BODY), MD5, hashlib.sha256(BODY).hexdigest(), True)
    assert fetch.destination.read_bytes() == BODY
    assert fetch.is_clean()


@pytest.mark.case("D13")
def test_a_valid_file_costs_no_request(fetch: Fetch) -> None:
    fetch.destination.parent.mkdir()
    fetch.destination.write_bytes(BODY)
    with serve() as server:
        assert fetch(server.url).md5_matches
        assert server.requests == []


def test_an_invalid_file_is_replaced(fetch: Fetch) -> None:
    fetch.destination.parent.mkdir()
    fetch.destination.write_bytes(OTHER)
    with serve(Reply(BODY)) as server:
        fetch(server.url)
    assert fetch.destination.read_bytes() == BODY


@pytest.mark.case("D1")
@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_not_retried(fetch: Fetch, status: int) -> None:
    with serve(Reply(status=status)) as server:
        with pytest.raises(ResourceError, match=rf"{server.url}/gone.*HTTP 200, got HTTP {status}"):
            fetch(f"{server.url}/gone?token=secret")
        assert len(server.requests) == 1
    assert fetch.waits == []


@pytest.mark.case("D2")
def test_a_failing_server_is_retried_with_growing_waits(fetch: Fetch) -> None:
    with serve(Reply(status=500), Reply(status=503), Reply(BODY)) as server:
        fetch(server.url)
        assert len(server.requests) == 3
    assert fetch.waits == [1.0, 2.0]


def test_a_server_that_fails_for_ever_is_given_up(fetch: Fetch) -> None:
    with serve(*[Reply(status=502)] * 9) as server:
        with pytest.raises(ResourceError, match="HTTP 502"):
            fetch(server.url)
        assert len(server.requests) == transfer.ATTEMPTS
    assert fetch.waits == [1.0, 2.0, 4.0]


@pytest.mark.case("D3")
@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("7", 7.0),
        ("100000", transfer.LONGEST_WAIT_S),
        ("soon", 1.0),
        ("9" * 5000, 1.0),
        ("", 1.0),
        ("Mon, 32 Jan 99999999999 00:00:00 GMT", 1.0),
        (formatdate(0, usegmt=True), 0.0),
    ],
)
def test_retry_after_is_honoured_within_bounds(fetch: Fetch, asked: str, waited: float) -> None:
    with serve(Reply(status=429, headers={"Retry-After": asked}), Reply(BODY)) as server:
        fetch(server.url)
    assert fetch.waits == [waited]


@pytest.mark.case("D4")
def test_a_silent_server_is_given_up(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "READ_TIMEOUT_S", 0.05)
    with serve(*[Reply(BODY, cut_at=1, stall=True)] * transfer.ATTEMPTS) as server:
        with pytest.raises(ResourceError, match="download failed"):
            fetch(server.url)
        assert len(server.requests) == transfer.ATTEMPTS
    assert not fetch.destination.exists()


@pytest.mark.case("D4")
def test_a_server_that_takes_no_connection_is_given_up(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "CONNECT_TIMEOUT_S", 0.05)
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(8):  # what the queue holds, and more: the next one is not answered
            queued = waiting.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(full.getsockname())
        with pytest.raises(ResourceError, match=r"download failed in http.*a.zip: got .*Check the network and rerun"):
            fetch(f"http://127.0.0.1:{full.getsockname()[1]}/a.zip")
    assert len(fetch.waits) == transfer.ATTEMPTS - 1
    assert not fetch.destination.exists()


@pytest.mark.case("D4")
@pytest.mark.parametrize(
    "attempt_s",
    [transfer.READ_TIMEOUT_S, transfer.CONNECT_TIMEOUT_S, transfer.CONNECT_TIMEOUT_S + transfer.READ_TIMEOUT_S],
)
def test_all_attempts_together_end_within_a_minute(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch, attempt_s: float
) -> None:
    """Whichever of its two timeouts a server uses up, or both, in every attempt; by a clock that only they move."""
    silences: list[float] = []
    monkeypatch.setattr(transfer, "monotonic", lambda: sum(silences + fetch.waits))

    def silent(*_: object, timeout: tuple[float, float], **__: object) -> requests.Response:
        assert timeout == (transfer.CONNECT_TIMEOUT_S, transfer.READ_TIMEOUT_S)
        silences.append(attempt_s)
        raise requests.ReadTimeout

    monkeypatch.setattr(requests.Session, "get", silent)
    with pytest.raises(ResourceError, match="download failed"):
        fetch("https://example.org/a.zip")
    assert len(silences) > 2
    assert sum(silences + fetch.waits) < 60


@pytest.mark.case("D4")
def test_a_server_that_falls_silent_now_and_then_is_borne_with(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "READ_TIMEOUT_S", 0.05)
    monkeypatch.setattr(transfer, "PATIENCE_S", 0.0)
    cuts = [2**14, 2**15, 2**15 + 2**14]
    with serve(*[Reply(BODY, cut_at=2**14, stall=True) for _ in cuts], Reply(BODY)) as server:
        fetch(server.url)
        assert ranges(server.requests) == [None, *[f"bytes={cut}-" for cut in cuts]]
    assert fetch.destination.read_bytes() == BODY


def test_nobody_listens(fetch: Fetch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: refused, and no one else can take it
        with pytest.raises(ResourceError, match="refused"):
            fetch(f"http://127.0.0.1:{unused.getsockname()[1]}/a.zip")
    assert len(fetch.waits) == transfer.ATTEMPTS - 1


@pytest.mark.case("D5")
def test_a_cut_download_goes_on_at_the_next_byte(fetch: Fetch) -> None:
    with serve(Reply(BODY, cut_at=CUT), Reply(BODY)) as server:
        fetch(server.url)
        assert ranges(server.requests) == [None, f"bytes={CUT}-"]
        assert server.requests[1]["If-Range"] == '"v1"'
    assert fetch.destination.read_bytes() == BODY
    assert fetch.is_clean()


@pytest.mark.case("D5")
def test_a_reset_connection_goes_on(fetch: Fetch) -> None:
    with serve(Reply(BODY, cut_at=CUT, reset=True), Reply(BODY)) as server:
        fetch(server.url)
        assert len(server.requests) == 2
    assert fetch.destination.read_bytes() == BODY


def test_the_next_process_goes_on(fetch: Fetch) -> None:
    with serve(Reply(BODY, cut_at=2**14), *[Reply(status=500)] * 3, Reply(BODY)) as server:
        with pytest.raises(ResourceError):
            fetch(server.url)
        assert not fetch.destination.exists()
        fetch(server.url)
        assert ranges(server.requests)[-1] == "bytes=16384-"
    assert fetch.destination.read_bytes() == BODY


@pytest.mark.case("D6", "D7")
@pytest.mark.parametrize(
    "second",
    [
        Reply(BODY, ignores_range=True),
        Reply(BODY, etag='"v2"'),
    ],
    ids=["range-ignored", "changed"],
)
def test_a_whole_answer_to_a_range_starts_from_nothing(fetch: Fetch, second: Reply) -> None:
    with serve(Reply(OTHER, cut_at=CUT), second) as server:
        fetch(server.url)
        assert len(server.requests) == 2
    assert fetch.destination.read_bytes() == BODY


@pytest.mark.case("D7")
@pytest.mark.parametrize(
    "second",
    [
        Reply(BODY, etag='"v2"', ignores_if_range=True),
        Reply(BODY, range_start=CUT - 1),
        Reply(BODY + b"x"),
        Reply(status=416),
    ],
    ids=["changed-all-the-same", "wrong-start", "wrong-total", "no-such-range"],
)
def test_a_range_that_does_not_fit_is_never_spliced(fetch: Fetch, second: Reply) -> None:
    with serve(Reply(OTHER, cut_at=CUT), second, Reply(BODY)) as server:
        fetch(server.url)
        assert ranges(server.requests) == [None, f"bytes={CUT}-", None]
    assert fetch.destination.read_bytes() == BODY


@pytest.mark.parametrize("etag", [None, 'W/"v1"'], ids=["none", "weak"])
def test_without_a_strong_etag_a_cut_download_starts_again(fetch: Fetch, etag: str | None) -> None:
    with serve(Reply(OTHER, cut_at=CUT, etag=etag), Reply(BODY, etag=etag)) as server:
        fetch(server.url)
        assert ranges(server.requests) == [None, None]
    assert fetch.destination.read_bytes() == BODY


@pytest.mark.case("D8")
def test_a_short_body_is_kept_but_not_promoted(fetch: Fetch) -> None:
    replies = [Reply(BODY, cut_at=CUT), *[Reply(BODY, cut_at=0)] * (transfer.ATTEMPTS - 1)]
    with (
        serve(*replies) as server,
        pytest.raises(IntegrityError, match=rf"size.*expected {len(BODY)} bytes, got {CUT} bytes"),
    ):
        fetch(server.url)
    assert not fetch.destination.exists()
    assert fetch.part.read_bytes() == BODY[:CUT]


def test_a_cut_chunked_body_is_not_promoted(fetch: Fetch) -> None:
    with (
        serve(*[Reply(BODY, cut_at=CUT, chunked=True, etag=None)] * transfer.ATTEMPTS) as server,
        pytest.raises(IntegrityError, match="size"),
    ):
        fetch(server.url, accept_other_bytes=True)
    assert not fetch.destination.exists()


def test_a_cut_body_without_any_length_is_not_promoted(fetch: Fetch) -> None:
    with (
        serve(Reply(BODY[:CUT], chunked=True)) as server,
        pytest.raises(IntegrityError, match="cut zip"),
    ):
        fetch(server.url, accept_other_bytes=True)
    assert not fetch.destination.exists()


@pytest.mark.case("D9")
def test_other_bytes_are_refused_with_both_digests(fetch: Fetch) -> None:
    with (
        serve(Reply(OTHER)) as server,
        pytest.raises(IntegrityError, match=rf"expected md5 {MD5}, got md5 {hashlib.md5(OTHER).hexdigest()}"),
    ):
        fetch(server.url)
    assert not fetch.destination.exists()
    assert fetch.is_clean()


def test_other_bytes_are_returned_where_they_are_accepted(fetch: Fetch) -> None:
    with serve(Reply(OTHER)) as server:
        first = fetch(server.url, size=1, accept_other_bytes=True)
        again = fetch(server.url, size=1, accept_other_bytes=True)
        assert len(server.requests) == 1
    assert first == again
    assert not first.md5_matches
    assert first.md5 == hashlib.md5(OTHER).hexdigest()


def test_a_wrong_published_size_is_refused(fetch: Fetch) -> None:
    with serve(Reply(BODY)) as server, pytest.raises(IntegrityError, match=rf"expected 5 bytes, got {len(BODY)}"):
        fetch(server.url, size=5)
    assert fetch.is_clean()


@pytest.mark.case("D11")
def test_a_page_instead_of_a_zip_shows_its_first_bytes(fetch: Fetch) -> None:
    with serve(Reply(b"<html>Sign in")) as server, pytest.raises(IntegrityError, match=r"not a zip.*<html>Sign in"):
        fetch(server.url, accept_other_bytes=True)
    assert not fetch.destination.exists()
    assert fetch.is_clean()


@pytest.mark.case("D10")
@pytest.mark.parametrize(
    ("part", "memory"),
    [
        (BODY + b"x", {"size": len(BODY)}),
        (b"", {"size": len(BODY)}),
        (OTHER[:CUT], {"size": len(BODY), "url": "http://127.0.0.1/other"}),
        (OTHER[:CUT], {"size": len(BODY), "etag": None}),
        (OTHER[:CUT], {"size": len(BODY), "more": 1}),
        (OTHER[:CUT], None),
    ],
    ids=["too-long", "empty", "another-url", "no-etag", "another-format", "no-memory"],
)
def test_a_leftover_that_does_not_fit_is_discarded(fetch: Fetch, part: bytes, memory: dict[str, object] | None) -> None:
    fetch.part.parent.mkdir()
    fetch.part.write_bytes(part)
    with serve(Reply(BODY)) as server:
        if memory is not None:
            said = {"url": server.url, "etag": '"v1"', **memory}
            fetch.part.with_name(fetch.part.name + ".json").write_text(json.dumps(said))
        fetch(server.url)
        assert ranges(server.requests) == [None]
    assert fetch.destination.read_bytes() == BODY


def test_a_whole_leftover_is_verified_without_a_request(fetch: Fetch) -> None:
    fetch.part.parent.mkdir()
    fetch.part.write_bytes(BODY)
    with serve() as server:
        said = {"url": server.url, "etag": '"v1"', "size": len(BODY)}
        fetch.part.with_name(fetch.part.name + ".json").write_text(json.dumps(said))
        assert fetch(server.url).md5_matches
        assert server.requests == []


def test_a_redirect_is_followed(fetch: Fetch) -> None:
    with serve(Reply(status=302, headers={"Location": "/there"}), Reply(BODY)) as server:
        fetch(server.url)
        assert len(server.requests) == 2


def test_a_circle_of_redirects_ends(fetch: Fetch) -> None:
    with serve(*[Reply(status=302, headers={"Location": "/"})] * 50) as server:
        with pytest.raises(ResourceError, match="too many redirects"):
            fetch(server.url)
        assert len(server.requests) == transfer.REDIRECTS + 1


@pytest.mark.case("D12")
def test_a_redirect_to_a_file_is_refused(fetch: Fetch) -> None:
    with (
        serve(Reply(status=302, headers={"Location": "file:///etc/passwd"})) as server,
        pytest.raises(IntegrityError, match="unsafe redirect"),
    ):
        fetch(server.url)


@pytest.mark.case("D12")
def test_a_redirect_never_leaves_https() -> None:
    assert next_url("https://a.org/x", "/y") == "https://a.org/y"
    assert next_url("http://a.org/x", "https://b.org/y") == "https://b.org/y"
    for location in ("http://a.org/y", "http://127.0.0.1/y", "ftp://a.org/y"):
        with pytest.raises(IntegrityError, match=r"unsafe redirect in https://a\.org/x: expected https"):
            next_url("https://a.org/x", location)
    for location in ("https://[::1", "https://a.org:99999/y", "https://a.org:abc/y"):
        with pytest.raises(IntegrityError, match=r"unsafe redirect in https://a\.org/x: expected https://\.\.\., got"):
            next_url("https://a.org/x", location)


@pytest.mark.case("D12")
@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://a.org/x", "a.zip", "https://", "http://[::1/x", "http://a.org:99999/x", ""]
)
def test_an_address_off_the_web_is_refused(fetch: Fetch, url: str) -> None:
    with pytest.raises(ConfigurationError, match="bad URL"):
        fetch(url)
    assert not fetch.destination.parent.exists()


@pytest.mark.case("X3")
def test_no_message_and_no_file_holds_a_secret(fetch: Fetch) -> None:
    assert visible_url("https://me:pw@a.org:8/x?token=1#y") == "https://a.org:8/x"
    with serve(Reply(BODY, cut_at=CUT), *[Reply(status=503)] * 3) as server:
        secret = server.url.replace("//", "//me:hunter2@") + "/a.zip?token=hunter2"
        with pytest.raises(ResourceError) as caught:
            fetch(secret)
        assert "Authorization" in server.requests[0]  # it was used all the same
    assert "hunter2" not in str(caught.value)
    kept = sorted(path.name for path in fetch.destination.parent.iterdir() if "part" in path.name)
    assert kept == ["clips.zip.part", "clips.zip.part.json"]
    assert "hunter2" not in (fetch.destination.parent / kept[1]).read_text()


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password for one host, as curl and git have it."""
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login me password hunter2\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    monkeypatch.delenv(TOKEN, raising=False)


@pytest.mark.case("X3")
def test_a_password_in_netrc_is_used_for_its_host_alone(fetch: Fetch, netrc: None) -> None:
    with serve(Reply(BODY)) as other:
        away = other.url.replace("127.0.0.1", "localhost")
        with serve(
            Reply(status=302, headers={"Location": "/there"}), Reply(status=302, headers={"Location": away})
        ) as server:
            fetch(server.url)
            assert [request.get("Authorization") for request in server.requests] == ["Basic bWU6aHVudGVyMg=="] * 2
        assert [request.get("Authorization") for request in other.requests] == [None]
    assert not [path for path in fetch.destination.parent.iterdir() if b"hunter2" in path.read_bytes()]


class Wire:
    """What goes to the network adapter of `requests`, answered by script instead."""

    def __init__(self, *answers: tuple[int, dict[str, str], bytes]) -> None:
        self.sent: list[tuple[str, str | None]] = []
        self._answers = iter(answers)

    def send(self, adapter: object, request: requests.PreparedRequest, **_: object) -> requests.Response:
        self.sent.append((str(request.url), request.headers.get("Authorization")))
        status, headers, body = next(self._answers)
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, str(request.url)
        response.headers.update(headers)
        response.raw = urllib3.HTTPResponse(io.BytesIO(body), preload_content=False)
        return response


@pytest.mark.case("X3")
def test_a_token_goes_to_the_first_host_over_https_and_to_no_other(
    fetch: Fetch, netrc: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [
        "https://127.0.0.1/2.zip",
        "https://127.0.0.1:444/3.zip",
        "https://cdn.example.org/4.zip",
        "https://127.0.0.1/5",
    ]
    wire = Wire(*[(302, {"Location": place}, b"") for place in places], (200, {}, BODY))
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", lambda *args, **known: wire.send(*args, **known))
    monkeypatch.setenv(TOKEN, "tok-hunter2")
    fetch("https://127.0.0.1/1.zip")
    bearer, basic = "Bearer tok-hunter2", "Basic bWU6aHVudGVyMg=="
    assert wire.sent == [
        ("https://127.0.0.1/1.zip", bearer),  # before what netrc has for it
        (places[0], bearer),
        (places[1], basic),
        (places[2], None),
        (places[3], bearer),
    ]
    assert not [path for path in fetch.destination.parent.iterdir() if b"hunter2" in path.read_bytes()]


@pytest.mark.case("X3")
def test_a_token_never_goes_over_plain_http(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "tok-hunter2")
    with serve(Reply(status=401)) as server:
        with pytest.raises(ResourceError, match=r"HTTP 401\. The server asks for permission: .*netrc.*TOKEN") as caught:
            fetch(server.url)
        assert "Authorization" not in server.requests[0]
    assert "hunter2" not in str(caught.value)


@pytest.mark.case("X3")
@pytest.mark.parametrize("token", ["two words", "ends in\nX: y", "größer", "\t"])
def test_a_token_that_is_none_is_refused_unshown(fetch: Fetch, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv(TOKEN, token)
    with serve() as server:
        with pytest.raises(ConfigurationError, match="bad token in SPECNORM_DOWNLOAD_TOKEN: expected ") as caught:
            fetch(server.url)
        assert server.requests == []
    assert token.strip() == "" or token not in str(caught.value)


@pytest.mark.case("D14")
def test_two_at_once_give_one_download(fetch: Fetch) -> None:
    """Threads and another process: the lock is the file system's."""
    results: list[DownloadResult] = []
    with serve(Reply(BODY)) as server:
        child = child_downloading(server.url, fetch.destination)
        threads = [threading.Thread(target=lambda: results.append(fetch(server.url))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert child.wait() == 0
        assert len(server.requests) == 1
    assert len(results) == 4
    assert len(set(results)) == 1


def test_a_full_disk_keeps_the_part_and_says_so(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        if os.fstat(handle).st_size == len(BODY):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer.os, "fsync", full)
    with serve(Reply(BODY)) as server, pytest.raises(ResourceError, match=r"cannot keep .*clips.zip.*No space left"):
        fetch(server.url)
    assert not fetch.destination.exists()
    assert fetch.part.stat().st_size == len(BODY)


def test_a_cache_that_cannot_be_made_is_named(fetch: Fetch) -> None:
    fetch.destination.parent.write_bytes(b"a file in its place")
    with serve() as server, pytest.raises(ResourceError, match=r"cannot make a lock in .*clips.zip"):
        fetch(server.url)


@pytest.mark.case("D15")
def test_a_killed_download_goes_on(fetch: Fetch) -> None:
    with serve(Reply(BODY, cut_at=CUT, stall=True), Reply(BODY)) as server:
        child = child_downloading(server.url, fetch.destination)
        try:
            while not (fetch.part.exists() and fetch.part.stat().st_size) and child.poll() is None:
                time.sleep(0.01)
        finally:
            os.kill(child.pid, signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
        assert not fetch.destination.exists()
        kept = fetch.part.stat().st_size
        fetch(server.url)
        assert ranges(server.requests) == [None, f"bytes={kept}-"]
    assert fetch.destination.read_bytes() == BODY
