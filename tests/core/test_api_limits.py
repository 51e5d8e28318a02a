"""The cap on request bodies."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from core.intake import SlowSender
from integrations.models import Repository
from tests.access.keys import client_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.sample_api")]
BODY = json.dumps({"provider": "github", "full_name": "o/" + "n" * 200}).encode()


class CountingStream(io.BytesIO):
    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


@pytest.fixture
def client() -> APIClient:
    return client_of(None)


def chunked(client: APIClient, path: str, stream: io.BytesIO, **extra: Any) -> Any:
    """Send a body of unknown length, as gunicorn hands it over."""
    environ = {"wsgi.input": stream, "HTTP_TRANSFER_ENCODING": "chunked"}
    environ |= {"wsgi.input_terminated": True} | extra
    return client.generic("POST", path, b"", content_type="application/json", **environ)


def test_it_refuses_a_body_over_the_cap_and_stores_nothing(client: APIClient, settings: Settings) -> None:
    settings.API_MAX_BODY_BYTES = len(BODY)
    assert client.generic("POST", "/api/v1/samples", BODY, content_type="application/json").status_code == 201
    answer = client.generic("POST", "/api/v1/samples", BODY + b" ", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert str(len(BODY)) in answer.json()["message"]
    assert set(answer.json()) == {"code", "message", "fields", "request_id"}
    assert Repository.objects.count() == 1


def test_a_view_may_have_a_cap_of_its_own(client: APIClient) -> None:
    assert client.generic("POST", "/api/v1/tiny", BODY, content_type="application/json").status_code == 413


def test_a_chunked_body_is_read_and_used(client: APIClient) -> None:
    answer = chunked(client, "/api/v1/samples", CountingStream(BODY))
    assert answer.status_code == 201
    assert Repository.objects.get().full_name == json.loads(BODY)["full_name"]


def test_a_chunked_body_over_the_cap_is_read_no_further(client: APIClient, settings: Settings) -> None:
    settings.API_MAX_BODY_BYTES = 1000
    stream = CountingStream(b" " * 1_000_000)
    assert chunked(client, "/api/v1/samples", stream).status_code == 413
    assert stream.taken == 1001


def test_a_chunked_body_that_breaks_off_is_malformed(client: APIClient) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("no chunk size")

    answer = chunked(client, "/api/v1/samples", Broken())
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert not Repository.objects.exists()


def test_a_chunked_body_of_exactly_the_cap_is_taken(client: APIClient, settings: Settings) -> None:
    settings.API_MAX_BODY_BYTES = len(BODY)
    assert chunked(client, "/api/v1/samples", CountingStream(BODY)).status_code == 201


def test_a_server_that_cannot_read_chunks_says_so(client: APIClient) -> None:
    answer = chunked(client, "/api/v1/samples", CountingStream(BODY), **{"wsgi.input_terminated": False})
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")


@pytest.mark.parametrize("length", ["x", "-5", "1e3", "٣"])
def test_a_malformed_length_is_a_400(client: APIClient, length: str) -> None:
    answer = client.generic("POST", "/api/v1/samples", BODY, content_type="application/json", CONTENT_LENGTH=length)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_an_absurd_length_is_a_413(client: APIClient) -> None:
    answer = client.generic("POST", "/api/v1/samples", BODY, content_type="application/json", CONTENT_LENGTH="9" * 5000)
    assert answer.status_code == 413


@pytest.mark.parametrize("more", [{}, {"HTTP_TRANSFER_ENCODING": "", "CONTENT_LENGTH": "100"}], ids=["in chunks", "with a length"])
def test_a_body_that_comes_too_slowly_is_said_to(client: APIClient, more: dict[str, str]) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise SlowSender

    answer = chunked(client, "/api/v1/samples", Slow(), **more)
    assert (answer.status_code, answer.json()["code"]) == (408, "timed_out")
