"""moto's S3 behind real HTTP, without the packages that moto's own server needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from moto.core.models import botocore_stubber
from requests import Request

from tests.serving import QuietHandler, serving

_AT_AWS = "https://s3.eu-central-1.amazonaws.com"


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        asked = Request(self.command, _AT_AWS + self.path, headers=headers, data=body).prepare()
        answered = botocore_stubber.process_prepared_request(asked)
        assert answered is not None, self.path
        status, said, content = answered
        content = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        for name, value in said.items():
            if name.lower() not in ("content-length", "connection"):
                self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(content)) if self.command != "HEAD" else str(said.get("content-length", 0)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_DELETE = do_POST = do_HEAD = _answer


@contextlib.contextmanager
def s3() -> Iterator[str]:
    """Serve; yields the address."""
    with serving(_Handler) as address:
        yield address
