"""A server on this machine that breaks off, lies, redirects and fails."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from asymbp_cli.datasets.entry import Archive

CONTENT = bytes(range(256)) * 1200  # several chunks


class Handler(BaseHTTPRequestHandler):
    """Answers by path; the server notes (path, Range) of every request."""

    server: "Server"

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        name = self.path.strip("/").split("/")[0]
        self.server.requests.append((name, asked))
        getattr(self, name)(int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0)

    def answer(self, body: bytes, status: int = 200, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def good(self, start: int) -> None:
        self.answer(CONTENT[start:], 206 if start else 200)

    def cut(self, start: int) -> None:  # at most half of the file per connection
        self.answer(CONTENT[start : start + len(CONTENT) // 2], 206 if start else 200, len(CONTENT) - start)

    def forgetful(self, start: int) -> None:  # breaks off at first, and never resumes
        first = len(self.server.requests) == 1
        self.answer(CONTENT[: len(CONTENT) // 2] if first else CONTENT, 200, len(CONTENT))

    def wrong(self, start: int) -> None:
        self.answer(bytes(len(CONTENT))[start:], 206 if start else 200)

    def shorter(self, start: int) -> None:  # claims to be whole
        self.answer(b"<html>please log in</html>")

    def longer(self, start: int) -> None:
        self.answer(CONTENT + b"more")

    def unsized(self, start: int) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT)

    def page(self, start: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"<html>please log in</html>")

    def nothing(self, start: int) -> None:
        self.answer(b"")

    def restarting(self, start: int) -> None:  # answers every Range with the whole
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT)))
        if start:
            self.send_header("Content-Range", f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        self.wfile.write(CONTENT)

    def missing(self, start: int) -> None:
        self.answer(b"", 404)

    def busy(self, start: int) -> None:
        self.answer(b"", 503)

    def strict(self, start: int) -> None:  # refuses to resume
        self.answer(b"" if start else CONTENT, 416 if start else 200)

    def moved(self, start: int) -> None:
        self.send_response(302)
        self.send_header("Location", "/good/x.bin")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def silent(self, start: int) -> None:
        self.server.closing.wait(10)

    def stalled(self, start: int) -> None:  # a little at a time, then nothing
        self.answer(CONTENT[start : start + 100], 206 if start else 200, len(CONTENT) - start)
        self.server.closing.wait(10)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        self.requests: list[tuple[str, str | None]] = []
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def archive(self, *ways: str) -> Archive:
        urls = tuple(f"http://127.0.0.1:{self.server_port}/{way}/x.bin" for way in ways)
        return Archive("deep/x.bin", urls, hashlib.md5(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()
