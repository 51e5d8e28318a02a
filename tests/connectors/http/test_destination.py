"""The generic connector as a destination."""

from __future__ import annotations

import json
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from core.errors import InvalidInput
from core.http.door import BadAnswer
from integrations.connectors.http.connector import HttpConnector
from integrations.contract.outbound import DestinationAnswer, DestinationKind
from integrations.contract.schema import validate_options
from tests.connectors.contract import DictMemory, event
from tests.connectors.door import Answer, answer
from tests.connectors.http.test_check import BASE, FAULT_11, PING, connector

OAUTH = {"auth": "oauth2_client_credentials", "oauth_client_id": "me", "oauth_token_url": "https://login.example.com/token"}
MUTATION = "mutation($event: JSON!, $type: String) { tell(event: $event, type: $type) }"
ENVELOPE = PING.replace("<Ping/>", '<Tell id="{id}" type="{type}" at="{timestamp}">{data}</Tell>')


def oauth(*answers: Answer, **config: Any) -> HttpConnector:
    made = connector(config, {}, *answers)
    return HttpConnector(type(made.context)(made.context.integration_id, "Mine", {**made.config, **OAUTH}, {}, made.door))


@pytest.mark.parametrize("auth", ["none", "basic", "bearer", "api_key"])
def test_a_plain_request_leaves_on_the_event_loop_with_its_credentials(auth: str) -> None:
    config = {"auth": auth} | ({"username": "me"} if auth == "basic" else {})
    credentials = {"basic": {"password": "p"}, "bearer": {"token": "t"}, "api_key": {"api_key": "k"}}.get(auth, {})
    made = connector(config, credentials)
    assert made.destination_kind(made.config) is DestinationKind.HTTP
    request = made.build(event(), {"path": "/events", "method": "PUT"})
    assert (request.method, request.url, request.body) == ("PUT", "https://api.example.com/v1/events", event().body)
    expected = {"none": None, "basic": "Basic bWU6cA==", "bearer": "Bearer t", "api_key": None}[auth]
    assert (request.headers.get("Authorization"), request.headers.get("X-API-Key")) == (expected, "k" if auth == "api_key" else None)
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Idempotency-Key"] == str(event().id)


def test_a_key_in_the_query_is_not_shown() -> None:
    request = connector({"auth": "api_key", "api_key_in": "query", "api_key_name": "key"}, {"api_key": "a b"}).build(event(), {})
    assert request.url == "https://api.example.com/v1?key=a+b"
    assert "a+b" not in repr(request)


def test_a_mutation_gets_the_event_to_the_byte_and_the_parts_it_names() -> None:
    made = connector({"kind": "graphql"})
    body = made.build(event(), {"graphql": MUTATION}).body
    assert event().body in body
    sent = json.loads(body)
    assert sent == {"query": MUTATION, "variables": {"event": json.loads(event().body), "type": "gate.failed"}}


def test_an_envelope_gets_the_parts_of_the_event_escaped() -> None:
    hostile = {"text": "</Tell><Evil/>&\"'{id}\u0000\ud800\ufffe"}
    request = connector({"kind": "soap", "health_soap": PING}).build(event(data=hostile), {"soap": ENVELOPE, "soap_action": "urn:tell"})
    tell = next(element for element in fromstring(request.body).iter() if element.tag == "Tell")
    assert json.loads(tell.text or "") == hostile
    assert tell.attrib == {"id": str(event().id), "type": "gate.failed", "at": "2026-05-04T12:00:00.000Z"}
    assert request.headers["SOAPAction"] == '"urn:tell"'


def test_failures_inside_a_200_are_failures() -> None:
    graphql, soap = connector({"kind": "graphql"}), connector({"kind": "soap", "health_soap": PING})
    for made, status, body, error in (
        (graphql, 200, b'{"errors": [{"message": "no"}]}', "GraphQL errors: no"),
        (soap, 200, FAULT_11.encode(), "Out of paper"),
        (soap, 500, FAULT_11.encode(), "Out of paper"),
    ):
        outcome = made.judge(DestinationAnswer(status, {}, body))
        assert outcome is not None
        assert (outcome.ok, outcome.permanent) == (False, False)
        assert error in outcome.error
    assert graphql.judge(DestinationAnswer(200, {}, b'{"data": {}}')) is None
    assert soap.judge(DestinationAnswer(200, {}, PING.encode())) is None
    assert soap.judge(DestinationAnswer(500, {}, b"oops")) is None
    assert connector({}).judge(DestinationAnswer(200, {}, FAULT_11.encode())) is None


def test_an_answer_that_was_cut_off_is_taken_but_not_confirmed() -> None:
    outcome = connector({"kind": "graphql"}).judge(DestinationAnswer(200, {}, b'{"data": "' + b"x" * 20_000))
    assert outcome is not None
    assert (outcome.ok, outcome.confirmed) == (True, False)


def test_oauth2_goes_through_the_door_which_has_the_token() -> None:
    made = oauth(answer({}, 202))
    assert made.destination_kind(made.config) is DestinationKind.CALL
    outcome = made.send(event(), {"path": "events"}, DictMemory())
    assert (outcome.ok, outcome.status) == (True, 202)
    (call,) = made.door.calls  # type: ignore[attr-defined]
    assert (call.method, call.url, call.body, call.repeatable) == ("POST", "https://api.example.com/v1/events", event().body, None)
    assert call.headers["Idempotency-Key"] == str(event().id)


def test_oauth2_finds_failures_inside_answers_as_well() -> None:
    soap = {"kind": "soap", "health_soap": PING}
    outcome = oauth(answer(FAULT_11, 500), **soap).send(event(), {"soap": ENVELOPE}, DictMemory())
    assert not outcome.ok
    assert "Out of paper" in outcome.error
    with pytest.raises(BadAnswer, match="answered 500"):
        oauth(answer("oops", 500), **soap).send(event(), {"soap": ENVELOPE}, DictMemory())


@pytest.mark.parametrize(
    ("kind", "options", "field", "sentence"),
    [
        ("rest", {"path": "/../x"}, "path", "must not contain the path segments"),
        ("rest", {"method": "GET"}, "method", "must be one of POST, PUT, PATCH."),
        ("rest", {"graphql": "x"}, "graphql", "is only used if kind is graphql"),
        ("graphql", {}, "graphql", "is required if kind is graphql."),
        ("soap", {"soap": "<a"}, "soap", "is not XML"),
    ],
)
def test_options_that_can_not_work_are_refused(kind: str, options: dict[str, Any], field: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validate_options(HttpConnector, options, config=BASE | {"kind": kind})
    assert list(caught.value.fields) == [f"destination.{field}"]
    assert sentence in caught.value.fields[f"destination.{field}"][0]
