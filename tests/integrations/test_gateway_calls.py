from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from core.models import Circuit, RequestLog
from tests.access.keys import client_of
from tests.core.door_stub import Service, http, serving
from tests.factories import owner_of, statements
from tests.integrations.services_kit import TOKEN, make_endpoint, make_integration

# the database only keeps the log here; PostgreSQL has its turn in test_door_processes
pytestmark = [pytest.mark.django_db, pytest.mark.once]
JSON = {"content_type": "application/json"}


@pytest.fixture(autouse=True)
def _open(settings: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]


@pytest.fixture
def tracker() -> Iterator[Service]:
    with serving() as service:
        service.says(http(200, b'{"id": 7}', **JSON))
        yield service


@pytest.fixture
def endpoint(alice: User, tracker: Service) -> Any:
    return make_endpoint(make_integration(alice, f"{tracker.url}/api"), fixed_query={"per_page": 50})


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice)


def call(client: APIClient, endpoint: Any, parameters: Any = None, **more: Any) -> Any:
    path = f"/api/v1/integrations/{endpoint.integration_id}/endpoints/{endpoint.name}"
    return client.post(path, {"parameters": {"id": "7"} if parameters is None else parameters} | more, format="json")


def freely(client: APIClient, integration: Any, **body: Any) -> Any:
    return client.post(f"/api/v1/integrations/{integration.pk}/call", {"path": "/issues"} | body, format="json")


def line(service: Service, which: int = -1) -> str:
    return service.requests[which].split(b"\r\n")[0].decode()


# --- a good call ------------------------------------------------------------------------------------------------------


def test_a_team_calls_with_credentials_it_never_sees(client: APIClient, endpoint: Any, tracker: Service) -> None:
    answer = call(client, endpoint, {"id": "7", "state": "open", "labels": ["a", 2], "exact": True})
    assert answer.status_code == 200, answer.json()
    body = answer.json()
    assert set(body) == {
        "status", "headers", "body", "body_kind", "cached", "stale", "age_seconds", "duration_ms", "request_id"
    }  # fmt: skip
    assert (body["status"], body["body"], body["body_kind"], body["cached"], body["stale"]) == (200, {"id": 7}, "json", False, False)
    assert body["headers"] == {"content-type": "application/json"}
    assert body["request_id"] == answer["X-Request-Id"]
    assert line(tracker) == "GET /api/issues/7?per_page=50&state=open&labels=a&labels=2&exact=true HTTP/1.1"
    assert f"authorization: bearer {TOKEN}" in tracker.requests[0].decode().lower()
    assert TOKEN not in answer.content.decode()


def test_the_log_names_who_called_what(client: APIClient, endpoint: Any, alice: User) -> None:
    call(client, endpoint)
    row = RequestLog.objects.get()
    assert (row.purpose, row.endpoint, row.integration_id, row.owner_id) == (
        "gateway",
        "get-issue",
        endpoint.integration_id,
        owner_of(alice).id,
    )
    assert row.actor.startswith("key")
    assert row.request_id
    assert TOKEN not in json.dumps([row.request_headers, row.url, row.response_body])


def test_a_body_is_sent_as_json(client: APIClient, endpoint: Any, tracker: Service) -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"], "additionalProperties": False}
    post = make_endpoint(endpoint.integration, name="add", method="POST", path="/issues", parameters={}, body_schema=schema)
    assert call(client, post, {}, body={"title": "Ü"}).status_code == 200
    assert tracker.requests[0].endswith(json.dumps({"title": "Ü"}, separators=(",", ":")).encode())
    assert b"content-type: application/json" in tracker.requests[0].lower()
    for wrong in ({}, {"title": 5}, {"title": "x", "more": 1}, [], None):
        answer = call(client, post, {}, body=wrong)
        assert (answer.status_code, next(iter(answer.json()["fields"])).partition(".")[0]) == (400, "body"), wrong
    assert len(tracker.requests) == 1


def test_an_answer_is_cached_for_its_seconds(client: APIClient, endpoint: Any, tracker: Service) -> None:
    endpoint.cache_seconds = 60
    endpoint.save()
    first, second = call(client, endpoint).json(), call(client, endpoint).json()
    assert (first["cached"], second["cached"], second["body"]) == (False, True, {"id": 7})
    assert len(tracker.requests) == 1
    assert call(client, endpoint, {"id": "8"}).json()["cached"] is False


@pytest.mark.parametrize(
    ("raw", "kind", "body"),
    [
        (http(200, b"", **JSON), "empty", None),
        (http(200, b"plain", content_type="text/plain"), "text", "plain"),
        (http(200, "Müll".encode("latin-1"), content_type="text/html; charset=latin-1"), "text", "Müll"),
        (http(200, b"<a/>", content_type="application/soap+xml"), "text", "<a/>"),
        (http(200, b'{"a":', **JSON), "text", '{"a":'),
        (http(200, b'{"a": NaN}', **JSON), "text", '{"a": NaN}'),
        (http(200, b'"\\ud800"', content_type="application/problem+json; charset=utf-8"), "json", "\ud800"),
        (http(200, b"\x89PNG\x00", content_type="image/png"), "base64", "iVBORwA="),
        (http(200, b"[" * 100_000, **JSON), "text", "[" * 100_000),
        (http(200, b'{"n": 123456789012345678901234567890}', **JSON), "json", {"n": 123456789012345678901234567890}),
    ],
)
def test_any_body_is_answered(client: APIClient, endpoint: Any, tracker: Service, raw: bytes, kind: str, body: Any) -> None:
    tracker.says(raw)
    answer = call(client, endpoint)
    assert answer.status_code == 200, answer.content
    assert (answer.json()["body_kind"], answer.json()["body"]) == (kind, body)


def test_a_service_that_repeats_the_credentials_does_not_give_them_away(client: APIClient, endpoint: Any, tracker: Service) -> None:
    echo = json.dumps({"headers": {"Authorization": f"Bearer {TOKEN}"}}).encode()
    for raw in (
        http(200, echo, **JSON, x_request_id=TOKEN, set_cookie=f"a={TOKEN}", link=f"<https://x/?access_token={TOKEN}>"),
        http(200, TOKEN.encode(), content_type="text/plain"),
        http(422, echo, **JSON),
        http(500, echo, **JSON),
    ):
        tracker.says(raw)
        assert TOKEN not in call(client, endpoint).content.decode()
        assert TOKEN not in freely(client, endpoint.integration).content.decode()


ODD = 'pl4nted/s+cret "w0rd\\ü'
ESCAPED = "".join(f"\\u{ord(character):04x}" for character in ODD)
SLASHED = json.dumps(ODD).replace("/", "\\/")[1:-1]


@pytest.mark.parametrize(
    "written",
    [f'{{"a": ["{ESCAPED}"]}}', f'{{"a": {{"{ESCAPED}": "x"}}}}', f'{{"a": "you sent {SLASHED}"}}', f'{{"a": "{json.dumps(ODD)[1:-1]}"}}'],
)
def test_escapes_of_json_hide_no_credentials(alice: User, client: APIClient, tracker: Service, written: str) -> None:
    row = make_integration(alice, f"{tracker.url}/api", credentials={"token": "t0ken-x", "secret_headers": {"X-Second": ODD}})
    endpoint = make_endpoint(row)
    tracker.says(http(200, written.encode(), **JSON))
    answer = call(client, endpoint)
    assert (answer.status_code, answer.json()["body_kind"]) == (200, "json")
    assert "***" in repr(answer.json()["body"])
    assert not _shows(answer, ODD)
    # not quite JSON, and an answer that is an error: as text, and in the log
    tracker.says(http(200, written.encode() + b"]", **JSON))
    assert (call(client, endpoint).json()["body_kind"], _shows(call(client, endpoint), ODD)) == ("text", False)
    tracker.says(http(422, written.encode(), **JSON))
    assert not _shows(call(client, endpoint), ODD)
    assert not any(_holds(stored, ODD) for stored in RequestLog.objects.values_list("response_body", flat=True))


def _shows(answer: Any, secret: str) -> bool:
    return any(_holds(text, secret) for text in _texts(answer.json()))


def _holds(text: str, secret: str) -> bool:
    read = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text).replace("\\/", "/")
    return secret in read or json.dumps(secret)[1:-1] in read


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(text for item in value.values() for text in _texts(item))]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else [str(value)]


@pytest.mark.parametrize("form", [TOKEN.encode(), quote(TOKEN).encode(), base64.b64encode(TOKEN.encode())])
def test_bytes_that_hold_the_credentials_are_masked(client: APIClient, endpoint: Any, tracker: Service, form: bytes) -> None:
    tracker.says(http(200, b"\x00\xff\xfe\x89" + form + b"\xed\xa0\x80", content_type="application/octet-stream"))
    for answer in (call(client, endpoint), freely(client, endpoint.integration)):
        assert answer.json()["body_kind"] == "base64"
        assert base64.b64decode(answer.json()["body"]) == b"\x00\xff\xfe\x89***\xed\xa0\x80"


def test_bytes_without_credentials_stay_as_they_are(client: APIClient, endpoint: Any, tracker: Service) -> None:
    content = bytes(range(256)) * 3 + b"\\u0041\\/"
    tracker.says(http(200, content, content_type="application/octet-stream"))
    assert base64.b64decode(call(client, endpoint).json()["body"]) == content


def test_a_number_that_is_a_secret_is_masked(alice: User, client: APIClient, tracker: Service) -> None:
    row = make_integration(alice, f"{tracker.url}/api", credentials={"token": "73519024"})
    tracker.says(http(200, b'{"pin": 73519024, "n": 12}', **JSON))
    assert freely(client, row).json()["body"] == {"pin": "***", "n": 12}


# --- errors of the service --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "status", "code", "upstream"),
    [
        (http(404, b'{"message": "no such issue"}', **JSON), 502, "bad_answer", "404"),
        (http(422, b'{"message": "no such issue"}', **JSON), 502, "bad_answer", "422"),
        (http(500, b'{"message": "no such issue"}', **JSON), 502, "bad_answer", "500"),
    ],
)
def test_an_error_of_the_service_is_a_502_with_its_words(
    client: APIClient, endpoint: Any, tracker: Service, raw: bytes, status: int, code: str, upstream: str
) -> None:
    tracker.says(raw)
    body = call(client, endpoint).json()
    assert set(body) == {"code", "message", "fields", "request_id"}
    assert body["code"] == code
    assert body["fields"]["upstream_status"] == [upstream]
    assert "no such issue" in body["fields"]["upstream_body"][0]
    assert call(client, endpoint).status_code == status


def test_a_wait_that_the_service_asks_for_is_passed_on(client: APIClient, endpoint: Any, tracker: Service) -> None:
    tracker.says(http(429, retry_after="33"))
    answer = call(client, endpoint)
    assert (answer.status_code, answer.json()["code"]) == (503, "throttled")
    assert 30 <= int(answer["Retry-After"]) <= 33
    asked = len(tracker.requests)
    assert call(client, endpoint).status_code == 503
    assert len(tracker.requests) == asked


def test_refused_credentials_are_a_502_that_says_so(client: APIClient, endpoint: Any, tracker: Service) -> None:
    tracker.says(http(401))
    answer = call(client, endpoint)
    assert (answer.status_code, answer.json()["code"]) == (502, "sign_in_failed")


def test_a_service_that_does_not_answer_is_a_504(client: APIClient, endpoint: Any, tracker: Service) -> None:
    endpoint.integration.timeout_seconds = 1
    endpoint.integration.save()
    post = make_endpoint(endpoint.integration, name="add", method="POST", path="/issues", parameters={})  # tried once
    hold: Any = __import__("threading").Event()
    tracker.says(lambda sock, request: hold.wait(5))
    try:
        answer = call(client, post, {})
    finally:
        hold.set()
    assert (answer.status_code, answer.json()["code"]) == (504, "timeout")


def test_the_breaker_of_the_integration_holds_for_calls(client: APIClient, endpoint: Any, tracker: Service) -> None:
    endpoint.integration.breaker_failures = 1
    endpoint.integration.save()
    post = make_endpoint(endpoint.integration, name="add", method="POST", path="/issues", parameters={})
    tracker.says(http(500))
    assert call(client, post, {}).status_code == 502
    answer = call(client, post, {})
    assert (answer.status_code, answer.json()["code"]) == (503, "circuit_open")
    assert int(answer["Retry-After"]) > 0
    assert len(tracker.requests) == 1
    assert Circuit.objects.get().state == "open"


def test_the_quota_of_the_integration_holds_for_calls(client: APIClient, endpoint: Any, tracker: Service) -> None:
    endpoint.integration.quota_limit = 1
    endpoint.integration.quota_window_seconds = 7 * 86_400  # so that hardly ever a window ends between the two calls
    endpoint.integration.save()
    assert call(client, endpoint).status_code == 200
    answer = call(client, endpoint)
    assert (answer.status_code, answer.json()["code"]) == (503, "quota_used_up")


def test_an_answer_over_the_cap_is_an_error(client: APIClient, endpoint: Any, tracker: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.gateway.call.MAX_ANSWER", 10)
    tracker.says(http(200, b'"12345678901"', **JSON))
    assert call(client, endpoint).status_code == 502


def test_a_body_over_the_cap_is_not_sent(client: APIClient, endpoint: Any, tracker: Service) -> None:
    answer = freely(client, endpoint.integration, method="POST", body="x" * 1_100_000)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["body"])
    assert not tracker.requests


@pytest.mark.parametrize("kind", ["graphql", "soap"])
def test_a_failure_inside_a_good_status_is_one(client: APIClient, alice: User, tracker: Service, kind: str) -> None:
    bodies = {
        "graphql": b'{"errors": [{"message": "no field"}]}',
        "soap": b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultstring>no field</faultstring>'
        b"</s:Fault></s:Body></s:Envelope>",
    }
    integration = make_integration(alice, f"{tracker.url}/graphql", config={"kind": kind})
    tracker.says(http(200, bodies[kind], content_type="application/json"))
    answer = freely(client, integration, method="POST", path="", body={"query": "{ a }"})
    assert (answer.status_code, answer.json()["code"]) == (502, "bad_answer")
    assert "no field" in answer.json()["message"]
    assert line(tracker) == "POST /graphql HTTP/1.1"


ENVELOPE = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><Find>Ü &amp; "x"</Find></s:Body></s:Envelope>'
SOAP: dict[str, Any] = {"kind": "soap", "health_soap": "<a/>"}


def sent(service: Service) -> tuple[dict[str, str], bytes]:
    head, _, content = service.requests[-1].partition(b"\r\n\r\n")
    pairs = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
    return {name.lower(): value for name, _, value in pairs}, content


@pytest.mark.parametrize(("config", "soap_action"), [({}, '""'), ({"soap_action": "urn:find"}, '"urn:find"')])
def test_soap_is_sent_as_xml(alice: User, client: APIClient, tracker: Service, config: dict[str, Any], soap_action: str) -> None:
    tracker.says(http(200, ENVELOPE.encode(), content_type="text/xml; charset=utf-8"))
    row = make_integration(alice, tracker.url, config=SOAP | config)
    find = make_endpoint(row, name="find", method="POST", path="", parameters={}, body_schema={"type": "string"})
    for answer in (call(client, find, {}, body=ENVELOPE), freely(client, row, method="POST", path="", body=ENVELOPE)):
        assert (answer.status_code, answer.json()["body"]) == (200, ENVELOPE), answer.content
        headers, content = sent(tracker)
        assert (headers["content-type"], headers["soapaction"]) == ("text/xml; charset=utf-8", soap_action)
        assert content == ENVELOPE.encode()
    assert len(tracker.requests) == 2
    assert call(client, find, {}, body={"no": "text"}).status_code == 400


def test_what_a_caller_says_of_a_soap_body_wins(alice: User, client: APIClient, tracker: Service) -> None:
    tracker.says(http(200, ENVELOPE.encode(), content_type="text/xml"))
    row = make_integration(alice, tracker.url, config=SOAP | {"soap_action": "urn:check"})
    assert freely(client, row, method="POST", body=ENVELOPE, headers={"SOAPAction": '"urn:other"'}).status_code == 200
    assert (sent(tracker)[0]["soapaction"], sent(tracker)[0]["content-type"]) == ('"urn:other"', "text/xml; charset=utf-8")
    assert tracker.requests[-1].lower().count(b"soapaction:") == 1
    assert freely(client, row, method="POST", body=ENVELOPE, headers={"content-type": "application/soap+xml"}).status_code == 200
    headers, content = sent(tracker)
    assert (headers["content-type"], "soapaction" in headers, content) == ("application/soap+xml", False, ENVELOPE.encode())


def test_a_text_for_a_rest_service_is_json(client: APIClient, endpoint: Any, tracker: Service) -> None:
    assert freely(client, endpoint.integration, method="POST", body="<a/>").status_code == 200
    headers, content = sent(tracker)
    assert (headers["content-type"], "soapaction" in headers, content) == ("application/json", False, b'"<a/>"')


def test_an_inactive_integration_and_a_disabled_endpoint_are_not_called(client: APIClient, endpoint: Any, tracker: Service) -> None:
    off = make_endpoint(endpoint.integration, name="off", enabled=False)
    assert (call(client, off).status_code, call(client, off).json()["code"]) == (409, "disabled")
    endpoint.integration.status = "inactive"
    endpoint.integration.save()
    assert (call(client, endpoint).status_code, call(client, endpoint).json()["code"]) == (409, "inactive")
    assert freely(client, endpoint.integration).status_code == 409
    assert not tracker.requests


# --- who may ----------------------------------------------------------------------------------------------------------


def test_a_get_needs_read_and_anything_else_write(alice: User, endpoint: Any, tracker: Service) -> None:
    post = make_endpoint(endpoint.integration, name="add", method="POST", path="/issues", parameters={})
    reader, writer = client_of(alice, "integrations:read"), client_of(alice, "integrations:read", "integrations:write")
    assert call(reader, endpoint).status_code == 200
    refused = call(reader, post, {})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert "integrations:write" in refused.json()["message"]
    assert call(writer, post, {}).status_code == 200
    assert freely(reader, endpoint.integration).status_code == 403
    assert freely(writer, endpoint.integration).status_code == 200


def test_the_scope_of_the_endpoint_comes_on_top(alice: User, endpoint: Any, tracker: Service) -> None:
    endpoint.scope = "findings:read"
    endpoint.save()
    refused = call(client_of(alice, "integrations:read"), endpoint)
    assert refused.status_code == 403
    assert "findings:read" in refused.json()["message"]
    assert call(client_of(alice, "integrations:read", "findings:read"), endpoint).status_code == 200


def test_only_the_owners_and_the_admins_call(
    alice: User, bob: User, charlie: User, admin: User, auditor: User, team: Group, tracker: Service
) -> None:
    theirs = make_endpoint(make_integration(team, tracker.url))
    ownerless = make_endpoint(make_integration(None, tracker.url))
    statuses = {
        who: (call(client, theirs).status_code, call(client, ownerless).status_code, freely(client, theirs.integration).status_code)
        for who, client in {
            "alice": client_of(alice),
            "bob": client_of(bob),
            "team": client_of(team),
            "charlie": client_of(charlie),
            "admin": client_of(admin),
            "admins' key": client_of(None),
            "auditor": client_of(auditor),
        }.items()
    }
    mates, nobody = (200, 404, 200), (404, 404, 404)
    assert statuses == {
        "alice": mates, "bob": mates, "team": mates, "charlie": nobody,
        "admin": (200, 200, 200), "admins' key": (200, 200, 200), "auditor": (403, 403, 403),
    }  # fmt: skip
    assert client_of(charlie).get(f"/api/v1/integrations/{theirs.integration_id}/openapi").status_code == 404


# --- cost -------------------------------------------------------------------------------------------------------------


def test_a_call_takes_as_many_statements_with_many_endpoints(client: APIClient, endpoint: Any) -> None:
    call(client, endpoint)
    with CaptureQueriesContext(connection) as few:
        call(client, endpoint)
    for number in range(5):
        make_endpoint(endpoint.integration, name=f"e-{number}")
    with CaptureQueriesContext(connection) as many:
        call(client, endpoint)
    assert statements(few) == statements(many)
