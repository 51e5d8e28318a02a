"""Every error has the one shape."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.core.exceptions import RequestDataTooBig
from django.http import UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.test import Client, RequestFactory
from rest_framework.exceptions import NotAcceptable, Throttled
from rest_framework.test import APIClient

from core.api import errors
from tests.access.keys import client_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.sample_api")]
SHAPE = {"code", "message", "fields", "request_id"}


@pytest.fixture
def client() -> APIClient:
    return client_of(None)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("own", 409, "conflict"),
        ("wait", 429, "rate_limited"),
        ("http404", 404, "not_found"),
        ("denied", 403, "not_allowed"),
        ("django", 400, "invalid"),
        ("django-plain", 400, "invalid"),
        ("nested", 400, "invalid"),
        ("data", 400, "invalid"),
        ("database", 503, "unavailable"),
        ("bug", 500, "internal"),
    ],
)
def test_it_answers_every_error_in_one_shape(client: APIClient, kind: str, status: int, code: str) -> None:
    answer = client.get(f"/api/v1/samples/fail?kind={kind}", HTTP_X_REQUEST_ID="req-1")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == SHAPE
    assert answer.json()["request_id"] == "req-1" == answer["X-Request-Id"]


def test_it_names_nested_fields_by_their_path(client: APIClient) -> None:
    answer = client.get("/api/v1/samples/fail?kind=nested").json()
    assert answer["fields"] == {"events.1.type": ["is odd."], "list": ["is short."]}
    assert "events.1.type: is odd." in answer["message"]


def test_it_says_how_long_to_wait(client: APIClient) -> None:
    assert client.get("/api/v1/samples/fail?kind=wait")["Retry-After"] == "2"
    assert client.get("/api/v1/samples/fail?kind=database")["Retry-After"] == "5"


def test_it_shows_nothing_of_an_unexpected_error_but_logs_it(client: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.get("/api/v1/samples/fail?kind=bug")
    assert b"hunter2" not in answer.content
    assert b"Traceback" not in answer.content
    assert any(record.exc_info and record.message == "request_failed" for record in caplog.records)


def test_it_hides_what_a_404_says_inside(client: APIClient) -> None:
    assert b"secret detail" not in client.get("/api/v1/samples/fail?kind=http404").content


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/nothing/here", "/api/v2/samples"])
def test_an_unknown_api_path_is_a_404_in_shape(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == SHAPE


def test_an_unknown_page_is_a_404_in_html() -> None:
    answer = Client().get("/nothing")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")


def test_a_wrong_method_is_a_405_in_shape(client: APIClient) -> None:
    answer = client.delete("/api/v1/samples")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer["Allow"]
    assert answer.json()["message"] == "This path does not take that method; the answer's header Allow lists those it takes."


def test_an_anonymous_request_is_told_how_to_authenticate() -> None:
    answer = APIClient().get("/api/v1/samples")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert "Bearer" in answer.json()["message"]


def test_a_malformed_id_is_a_404(client: APIClient) -> None:
    for bad in ("abc", "0", "%00", "01980f3e-7d52-7c3e-9b1f-3f5d0c1a2b4c"):
        answer = client.get(f"/api/v1/samples/{bad}")
        assert answer.status_code == 404, bad
        assert answer.json()["code"] == "not_found"


def test_a_bad_host_is_a_400_in_shape() -> None:
    answer = Client(headers={"host": "evil.example"}).get("/api/v1/samples")
    assert answer.status_code == 400
    assert "ALLOWED_HOSTS" in answer.json()["message"]
    assert set(answer.json()) == SHAPE


@pytest.mark.parametrize(("handler", "status"), [(errors.handler403, 403), (errors.handler404, 404), (errors.handler400, 400)])
def test_handlers_answer_json_for_the_api_only(rf: RequestFactory, handler: Any, status: int) -> None:
    for path, kind in (("/api/v1/x", "application/json"), ("/x", "text/html")):
        answer = handler(rf.get(path), Exception("x"))
        assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (status, kind)


def test_a_crash_outside_of_views_and_a_failed_csrf_check_are_in_shape_too(rf: RequestFactory) -> None:
    assert errors.handler500(rf.get("/api/v1/x"))["Content-Type"] == "application/json"
    assert errors.handler500(rf.get("/x"))["Content-Type"].startswith("text/html")
    assert errors.csrf_failure(rf.post("/api/v1/x"), "no token")["Content-Type"] == "application/json"
    assert errors.csrf_failure(rf.post("/x"), "no token")["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RequestDataTooBig(), 413, "too_large"),
        (UnreadablePostError(), 400, "malformed"),
        (MultiPartParserError(), 400, "malformed"),
        (OverflowError("Python int too large to convert to SQLite INTEGER"), 400, "invalid"),
        (Throttled(wait=3), 429, "rate_limited"),
        (NotAcceptable(), 406, "not_acceptable"),
    ],
)
def test_errors_of_the_request_are_the_callers(error: Exception, status: int, code: str) -> None:
    problem = errors.describe(error)
    assert problem is not None
    assert (problem.status, problem.code) == (status, code)
