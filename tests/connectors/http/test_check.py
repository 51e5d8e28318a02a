"""The check of the generic connector: what it asks, and what it makes of the answer."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from core.errors import InvalidInput
from core.http.door import BadAnswer, SignInFailed
from integrations.auth import dressed
from integrations.connectors.http.connector import HttpConnector
from integrations.contract.connector import Context
from integrations.contract.schema import validate_values
from tests.connectors.door import Answer, FakeDoor, answer

BASE = {"base_url": "https://api.example.com/v1"}
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
PING = f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body><Ping/></s:Body></s:Envelope>'


def connector(config: dict[str, Any], credentials: dict[str, Any] | None = None, *answers: Answer | Exception) -> HttpConnector:
    clean, secret = validate_values(HttpConnector, BASE | config, credentials or {})
    auth: Any = HttpConnector.auth(clean, secret)
    door = FakeDoor(*(answers or (answer({"status": "ok"}),)), auth=dressed(auth, HttpConnector.extra_headers(clean, secret)))
    return HttpConnector(Context(uuid.UUID(int=1), "Mine", clean, secret, door))


def asked(config: dict[str, Any], credentials: dict[str, Any] | None = None, *answers: Answer | Exception) -> Any:
    made = connector(config, credentials, *answers)
    made.check()
    (call,) = made.door.calls  # type: ignore[attr-defined]
    assert call.repeatable
    return call


def problem(config: dict[str, Any], *answers: Answer | Exception) -> str:
    with pytest.raises(BadAnswer) as caught:
        connector(config, {}, *answers).check()
    return caught.value.message


def refused(config: dict[str, Any], credentials: dict[str, Any] | None = None) -> dict[str, list[str]]:
    with pytest.raises(InvalidInput) as caught:
        validate_values(HttpConnector, BASE | config, credentials or {})
    return caught.value.fields


# --- What is asked ---


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://api.example.com", "", "https://api.example.com/"),
        ("https://api.example.com/v1", "", "https://api.example.com/v1"),
        ("https://api.example.com/v1/", "/health", "https://api.example.com/v1/health"),
        ("https://api.example.com/v1", "health", "https://api.example.com/v1/health"),
    ],
)
def test_the_path_is_appended_to_the_address(base: str, path: str, url: str) -> None:
    call = asked({"base_url": base, "health_path": path})
    assert (call.method, call.url) == ("GET", url)


def test_method_query_and_headers_go_along() -> None:
    config = {"health_method": "POST", "health_query": {"a": "1 2"}, "headers": {"X-Open": "o", "accept": "application/json"}}
    call = asked(config, {"secret_headers": {"X-Secret": "s"}})
    assert (call.method, call.url) == ("POST", "https://api.example.com/v1?a=1+2")
    assert (call.headers["X-Open"], call.headers["X-Secret"], call.headers["Accept"]) == ("o", "s", "application/json")


def test_a_graphql_check_posts_its_query() -> None:
    call = asked({"kind": "graphql", "health_graphql": "{ me { id } }"}, {}, answer({"data": {"me": None}}))
    assert (call.method, call.json(), call.headers["Content-Type"]) == ("POST", {"query": "{ me { id } }"}, "application/json")


def test_a_soap_check_posts_its_envelope() -> None:
    call = asked({"kind": "soap", "health_soap": PING, "soap_action": "urn:ping"}, {}, answer(PING))
    assert (call.method, call.body.decode(), call.headers["SOAPAction"]) == ("POST", PING, '"urn:ping"')
    assert call.headers["Content-Type"] == "text/xml; charset=utf-8"


def test_soap_1_2_is_asked_for_by_a_header() -> None:
    call = asked({"kind": "soap", "health_soap": PING, "headers": {"Content-Type": "application/soap+xml"}}, {}, answer(PING))
    assert call.headers["Content-Type"] == "application/soap+xml"


# --- What the answer means ---


def test_it_says_who_answered() -> None:
    result = connector({}).check()
    assert (result.message, result.details) == ("api.example.com answered 200, as expected.", {"status": 200, "bytes": 16})


@pytest.mark.parametrize(("words", "status", "good"), [(["204"], 204, True), (["200-204", "418"], 418, True), (["204"], 200, False)])
def test_expected_statuses_are_numbers_and_ranges(words: list[str], status: int, good: bool) -> None:
    made = connector({"expected_status": words}, {}, Answer(status))
    if good:
        made.check()
    else:
        with pytest.raises(BadAnswer, match=f"answered {status}"):
            made.check()


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (403, "give them the right, or choose another health_path."),
        (404, "check base_url and health_path."),
        (405, "check health_method."),
        (302, "set base_url to the final address."),
        (500, "has a problem of its own"),
    ],
)
def test_a_refusal_names_the_field_to_mend(status: int, sentence: str) -> None:
    assert sentence in problem({}, Answer(status))


def test_refused_credentials_are_named_so() -> None:
    with pytest.raises(SignInFailed, match="refused the credentials"):
        connector({"auth": "bearer"}, {"token": "an-access-token"}, Answer(401)).check()


def test_a_service_that_asks_for_credentials_is_told_from_one_that_refuses_them() -> None:
    for config in ({}, {"headers": {"X-Team": "a"}}):
        with pytest.raises(SignInFailed, match=r"asks for credentials \(401\), but its sign-in is “No credentials”: choose one") as error:
            connector(config, {}, Answer(401)).check()
        assert "rotate" not in error.value.message
    with pytest.raises(SignInFailed, match="refused the credentials"):
        connector({}, {"secret_headers": {"X-Key": "a-secret-key"}}, Answer(401)).check()


@pytest.mark.parametrize(
    ("path", "value"),
    [("$.status", ""), ("$.status", "ok"), ("$.up", "true"), ("$.none", "null"), ("$.none", ""), ("$.parts[*].n", "3"), ("$..n", "2")],
)
def test_a_jsonpath_that_matches_is_good(path: str, value: str) -> None:
    body = {"status": "ok", "up": True, "none": None, "parts": [{"n": 2}, {"n": 3}]}
    connector({"health_jsonpath": path, **({"health_value": value} if value else {})}, {}, answer(body)).check()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"state": 1}, "$.status matches nothing in its answer. Check health_jsonpath"),
        ({"status": "down"}, "$.status is down, not ok."),
        ({"status": {"a": 1}}, '$.status is {"a": 1}, not ok.'),
        ({"status": "x" * 500}, "x…, not ok."),
        ("5", "neither object nor list"),
        ("<html>", "not valid JSON"),
        ("", "not valid JSON"),
        (" " * 1_100_000, "Choose another health_path"),
    ],
)
def test_an_answer_without_what_must_be_there_is_a_failure(body: Any, sentence: str) -> None:
    assert sentence in problem({"health_jsonpath": "$.status", "health_value": "ok"}, answer(body))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"errors": [{"message": "no such field"}]}, "GraphQL errors: no such field. Check"),
        ({"data": None, "errors": ["odd"]}, "GraphQL errors: odd."),
        ({"errors": {"message": "x"}, "data": {}}, "GraphQL errors"),
        ({"ok": True}, "no GraphQL answer"),
        ([], "no GraphQL answer"),
        ("<html>", "not valid JSON"),
    ],
)
def test_graphql_errors_inside_a_200_are_a_failure(body: Any, sentence: str) -> None:
    assert sentence in problem({"kind": "graphql"}, answer(body))


def test_a_jsonpath_looks_into_graphql_answers_too() -> None:
    assert "$.data.me matches nothing" in problem({"kind": "graphql", "health_jsonpath": "$.data.me"}, answer({"data": {}}))


FAULT_11 = (
    f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>Out of paper</faultstring></s:Fault>'
    "</s:Body></s:Envelope>"
)
FAULT_12 = (
    f'<s:Envelope xmlns:s="{SOAP_12}"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code>'
    '<s:Reason><s:Text xml:lang="en">Out of ink</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>'
)
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'
FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (200, FAULT_11, "answered 200 with a SOAP fault: Out of paper."),
        (500, FAULT_11, "answered 500 with a SOAP fault: Out of paper."),
        (200, FAULT_12, "SOAP fault: Out of ink."),
        (200, f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body><s:Fault/></s:Body></s:Envelope>', "without a text"),
        (500, "<html>", "answered 500"),
        (200, "<html><body>hi</body></html>", "no SOAP envelope, but <html>"),
        (200, "<unclosed>", "not XML"),
        (200, "", "not XML"),
        (200, b"\x00\xff", "not XML"),
        (200, '<?xml version="1.0" encoding="nonsense"?><a/>', "not XML"),
        (200, BOMB, "entities, which is not read"),
        (200, FILE, "entities, which is not read"),
    ],
)
def test_soap_faults_and_what_is_no_soap_are_failures(status: int, body: Any, sentence: str) -> None:
    found = problem({"kind": "soap", "health_soap": PING}, answer(body, status))
    assert sentence in found
    assert "root:" not in found


def test_the_gateway_finds_failures_inside_a_200_too() -> None:
    made = connector({"kind": "soap", "health_soap": PING}, {}, answer(FAULT_11))
    reply = made.door.request("POST", "https://api.example.com/v1")
    with pytest.raises(BadAnswer, match="Out of paper"):
        made.interpret(reply)
    assert made.base_url(made.config) == "https://api.example.com/v1"


# --- What can't be configured ---


@pytest.mark.parametrize(
    ("config", "field", "sentence"),
    [
        ({"base_url": "https://a.example/?x=1"}, "base_url", "must have no query"),
        ({"health_path": "/a/../b"}, "health_path", "must not contain the path segments"),
        ({"health_path": "/%2e%2e/b"}, "health_path", "must not contain the path segments"),
        ({"health_path": "/a?b"}, "health_path", "expected form"),
        ({"expected_status": ["299-200"]}, "expected_status", "names no status"),
        ({"expected_status": ["ok"]}, "expected_status", "expected form"),
        ({"health_value": "ok"}, "health_value", "needs health_jsonpath"),
        ({"health_jsonpath": "status"}, "health_jsonpath", "is no JSONPath"),
        ({"health_jsonpath": "$["}, "health_jsonpath", "is no JSONPath"),
        ({"health_jsonpath": "$[?match(@.a, '(a+)+')]"}, "health_jsonpath", "is no JSONPath"),
        ({"health_jsonpath": "$[?@.a =~ /(a+)+/]"}, "health_jsonpath", "is no JSONPath"),
        ({"health_jsonpath": "$.a", "health_method": "HEAD"}, "health_jsonpath", "needs an answer with a body"),
        ({"kind": "soap", "health_soap": PING, "health_jsonpath": "$.a"}, "health_jsonpath", "answers in XML"),
        ({"kind": "soap", "health_soap": "<a>"}, "health_soap", "is not XML"),
        ({"kind": "soap", "health_soap": BOMB}, "health_soap", "no document type"),
        ({"kind": "soap"}, "health_soap", "is required if kind is soap."),
        ({"headers": {"Host": "x"}}, "headers", "Host can't be set"),
        ({"headers": {"A b": "x"}}, "headers", "is not a header name"),
        ({"headers": {"A": "x", "a": "y"}}, "headers", "a is given twice"),
        ({"headers": {"A": "€"}}, "headers", "A holds a character"),
    ],
)
def test_what_can_not_work_is_refused_when_it_is_saved(config: dict[str, Any], field: str, sentence: str) -> None:
    fields = refused(config)
    assert list(fields) == [f"config.{field}"]
    assert sentence in fields[f"config.{field}"][0]
