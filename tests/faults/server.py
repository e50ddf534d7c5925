"""A web server on this machine that misbehaves by script, one reply a request."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Reply:
    """How one request is answered; the default is a well-behaved server that knows ranges."""

    body: bytes = b""
    status: int = 200
    etag: str | None = '"v1"'
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None  # bytes of the answer that are sent before the connection ends
    reset: bool = False  # end it with a reset instead of a close
    stall: bool = False  # send nothing more, but keep the connection, until the server stops
    ignores_range: bool = False
    ignores_if_range: bool = False
    chunked: bool = False
    range_start: int | None = None  # lie about where the range starts


@dataclass
class Server:
    """The address, and the requests that came, as their headers."""

    url: str
    requests: list[dict[str, str]]


@contextmanager
def serve(*replies: Reply) -> Iterator[Server]:
    """Answer with the replies in turn; a request beyond them gets 418, which no client here retries."""
    script = iter(replies)
    requests: list[dict[str, str]] = []
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            requests.append(dict(self.headers))
            answer(self, next(script, Reply(status=418)), stopping)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}", requests)
    finally:
        stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, reply: Reply, stopping: threading.Event) -> None:
    """Send one reply as its fields say."""
    body, status, headers = reply.body, reply.status, dict(reply.headers)
    asked = re.match(r"bytes=(\d+)-$", handler.headers.get("Range", ""))
    same = reply.ignores_if_range or handler.headers.get("If-Range") in (None, reply.etag)
    if asked and status == 200 and same and not reply.ignores_range:
        start = int(asked[1]) if reply.range_start is None else reply.range_start
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        body, status = body[int(asked[1]) :], 206
    if reply.etag is not None:
        headers["ETag"] = reply.etag
    if reply.chunked:
        headers["Transfer-Encoding"] = "chunked"
    else:
        headers.setdefault("Content-Length", str(len(body)))
    handler.close_connection = True
    handler.send_response(status)
    for name, value in {**headers, "Connection": "close"}.items():
        handler.send_header(name, value)
    handler.end_headers()
    sent = body[: reply.cut_at]
    if reply.chunked:
        sent = b"%x\r\n%s\r\n" % (len(sent), sent) + (b"0\r\n\r\n" if reply.cut_at is None else b"")
    handler.wfile.write(sent)
    handler.wfile.flush()
    if reply.stall:
        stopping.wait()
    if reply.reset:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
