"""What a body may be."""

from __future__ import annotations

import pytest
from rest_framework.exceptions import ParseError
from rest_framework.test import APIClient

from core.api.parsers import MAX_DEPTH, parse_json
from tests.access.keys import client_of

REFUSED = [
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": -Infinity}',
    b'{"a": 1e400}',
    b'{"a": -1e400}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": "\xff"}',
    b'{"a": 1',
    b"{'a': 1}",
    b'\xef\xbb\xbf{"a": 1}',
    b"a=1",
    b'{"a": 1} x',
    b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b"[" * 200_000,
]


@pytest.mark.parametrize("body", REFUSED)
def test_it_refuses_what_is_not_plain_json(body: bytes) -> None:
    with pytest.raises(ParseError):
        parse_json(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"", {}),
        (b"  \n", {}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": 1e300, "b": 12345678901234567890}', {"a": 1e300, "b": 12345678901234567890}),
        (b'"\\ud800"', "\ud800"),
        ('{"ü": "\\u0000☃"}'.encode(), {"ü": "\x00☃"}),
    ],
)
def test_it_takes_json_to_the_letter(body: bytes, value: object) -> None:
    assert parse_json(body) == value


def test_it_takes_the_deepest_allowed_nesting() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert parse_json(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH)


@pytest.mark.django_db
@pytest.mark.urls("tests.core.sample_api")
class TestOverHttp:
    @pytest.fixture
    def client(self) -> APIClient:
        return client_of(None)

    @pytest.mark.parametrize("body", REFUSED)
    def test_a_bad_body_is_a_400_that_says_why(self, client: APIClient, body: bytes) -> None:
        answer = client.generic("POST", "/api/v1/samples", body, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])
    def test_another_content_type_is_a_415(self, client: APIClient, kind: str) -> None:
        answer = client.generic("POST", "/api/v1/samples", b'{"a": 1}', content_type=kind)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
        assert "application/json" in answer.json()["message"]

    def test_no_body_is_an_empty_object(self, client: APIClient) -> None:
        assert client.generic("POST", "/api/v1/samples/always", b"").json() == {"data": {}}
        answer = client.generic("POST", "/api/v1/samples", b"", content_type="application/json")
        assert answer.status_code == 400
        assert set(answer.json()["fields"]) == {"provider", "full_name"}

    @pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null", b"true"])
    def test_a_body_that_is_no_object_is_a_400(self, client: APIClient, body: bytes) -> None:
        assert client.generic("POST", "/api/v1/samples", body, content_type="application/json").status_code == 400
