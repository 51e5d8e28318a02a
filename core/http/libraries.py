"""The way of client libraries through the door: a session of requests that has no sockets of its own.

What such a library sends is guarded, limited, logged and ended as any call is. Answers that are not expected are the door's typed
errors, which pass through the library.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast

import urllib3
from requests import PreparedRequest, Response, Session  # noqa: TID251 - this is the door
from requests.adapters import BaseAdapter, HTTPAdapter  # noqa: TID251

from core.errors import InvalidInput
from core.http.client import EXPECTED, Door
from core.http.door import Reply

_FRAMING = frozenset({"content-encoding", "transfer-encoding", "content-length", "connection"})


class DoorAdapter(BaseAdapter):
    """requests' transport that hands every request to a door."""

    def __init__(self, door: Door, expected: Collection[int] = EXPECTED) -> None:
        super().__init__()
        self._door = door
        self._expected = expected
        self._thread = threading.get_ident()

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Send; timeouts, certificates and proxies are the door's. Raises OutboundError."""
        if threading.get_ident() != self._thread:  # a library that works on by itself would outlive limits and deadline
            raise RuntimeError("A door is used by the thread that opened it, and by no other.")
        headers = {_text(name): _text(value) for name, value in request.headers.items()}
        reply = self._door.request(
            request.method or "GET", request.url or "", headers=headers, body=whole(request.body), expected=self._expected
        )
        return HTTPAdapter.build_response(cast("HTTPAdapter", self), request, raw_of(reply))

    def close(self) -> None:
        """Nothing is open."""


def session(door: Door, expected: Collection[int] = EXPECTED) -> Session:
    """Return a session that reaches other systems through the door alone, whatever the environment says."""
    made = Session()
    made.trust_env = False
    del made.headers["User-Agent"]  # the door says who calls
    for scheme in ("https://", "http://"):
        made.mount(scheme, DoorAdapter(door, expected))
    return made


def raw_of(reply: Reply) -> urllib3.HTTPResponse:
    """Return an answer as libraries on urllib3 read it; it is unpacked already."""
    headers = {name: value for name, value in reply.headers.items() if name.lower() not in _FRAMING}
    if reply.body or "content-length" not in {name.lower() for name in reply.headers}:
        headers["Content-Length"] = str(len(reply.body))
    else:  # of HEAD: that of what a GET would bring
        headers["Content-Length"] = str(reply.headers.get("Content-Length", "0"))
    return urllib3.HTTPResponse(
        body=io.BytesIO(reply.body), headers=headers, status=reply.status, preload_content=False, enforce_content_length=False
    )


def whole(body: Any) -> bytes | None:
    """Return what a library sends in whole, in whatever form it has it."""
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, bytearray | memoryview):
        return bytes(body)
    if isinstance(body, str):
        return body.encode()
    if hasattr(body, "read"):
        return whole(body.read())
    if isinstance(body, Iterable):
        return b"".join(whole(part) or b"" for part in body)
    raise InvalidInput.of("body", "is of a kind that can't be sent.")


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
