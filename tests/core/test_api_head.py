"""HEAD is answered like GET, without the body; looked at where a server takes it, since Django's test client drops bodies itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from core.api.head import NoBodyMiddleware
from tests.access.keys import make_key


def served(method: str, path: str, key: str = "") -> tuple[int, dict[str, str], bytes]:
    """Return what a WSGI server is given."""
    seen: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        seen.update(status=int(status[:3]), headers=dict(headers))
        return bytes.upper  # nobody writes by it

    environ = RequestFactory().generic(method, path, HTTP_AUTHORIZATION=f"Bearer {key}" if key else "").environ
    answer = WSGIHandler()(environ, start)
    return seen["status"], seen["headers"], b"".join(answer)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/livez", "/api/v1/webhooks", "/api/v1/webhooks/x", "/api/v1/nothing", "/nothing", "/api/schema", "/docs"]
)
def test_no_answer_to_head_has_a_body(path: str) -> None:
    _, key = make_key()
    got, expected = served("HEAD", path, key), served("GET", path, key)
    assert got[0] == expected[0]
    assert got[2] == b"" != expected[2]
    assert got[1]["Content-Length"] == str(len(expected[2]))
    assert got[1]["Content-Type"] == expected[1]["Content-Type"]


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_content_have_no_body(status: int) -> None:
    answer = NoBodyMiddleware(lambda request: HttpResponse("x", status=status))(HttpRequest())
    assert isinstance(answer, HttpResponse)
    assert answer.content == b""


def test_a_stream_is_closed_unread() -> None:
    request = HttpRequest()
    request.method = "HEAD"
    answer = NoBodyMiddleware(lambda request: StreamingHttpResponse(iter([b"x"])))(request)
    assert isinstance(answer, StreamingHttpResponse)
    assert answer.getvalue() == b""


def test_other_answers_keep_theirs() -> None:
    request = HttpRequest()
    request.method = "GET"
    answer = NoBodyMiddleware(lambda request: HttpResponse("x"))(request)
    assert isinstance(answer, HttpResponse)
    assert answer.content == b"x"
