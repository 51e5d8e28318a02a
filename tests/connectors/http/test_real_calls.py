"""The generic connector through the real door, against a service on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from core.models import RequestLog
from core.models.outbound import CallPurpose
from integrations.calls import connector_for
from integrations.checking import run_check
from integrations.connectors.http.connector import HttpConnector
from integrations.contract.schema import validate_values
from integrations.models import Integration
from tests.connectors.contract import DictMemory, event
from tests.connectors.http.test_check import FAULT_11, PING
from tests.core.door_stub import Service, http, serving

pytestmark = pytest.mark.django_db
SECRET = "Ju5tAs3cret-0f-m1ne"


@pytest.fixture
def service(settings: Any) -> Iterator[Service]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with serving() as running:
        yield running


def integration(service: Service, config: dict[str, Any], credentials: dict[str, Any]) -> Integration:
    clean, secret = validate_values(HttpConnector, {"base_url": f"{service.url}/v1"} | config, credentials)
    return Integration.objects.create(name="Mine", type="http", category="development", config=clean, credentials=secret)


WAYS: list[tuple[dict[str, Any], dict[str, Any], bytes]] = [
    ({"auth": "bearer"}, {"token": SECRET}, f"Authorization: Bearer {SECRET}".encode()),
    ({"auth": "api_key", "api_key_in": "query", "api_key_name": "k"}, {"api_key": SECRET}, f"k={SECRET}".encode()),
    ({"auth": "basic", "username": "me"}, {"password": SECRET}, b"Authorization: Basic "),
    ({}, {"secret_headers": {"X-Odd": SECRET}}, f"X-Odd: {SECRET}".encode()),
]


@pytest.mark.parametrize(("config", "credentials", "sent"), WAYS, ids=["bearer", "query", "basic", "header"])
def test_credentials_reach_the_service_and_no_log(service: Service, config: Any, credentials: Any, sent: bytes) -> None:
    service.says(http(200, b'{"status": "ok"}'), http(500, json.dumps({"echo": SECRET}).encode()))
    row = integration(service, config | {"health_path": "/up", "health_jsonpath": "$.status", "health_value": "ok"}, credentials)
    good, bad = run_check(row), run_check(row)
    assert (good.ok, good.message) == (True, "127.0.0.1 answered 200, as expected.")
    assert not bad.ok
    assert sent in service.requests[0]
    assert service.requests[0].startswith(b"GET /v1/up")
    logged = [str(values) for values in RequestLog.objects.values()]
    assert len(logged) == 2
    assert SECRET not in f"{logged}{good}{bad}"


def test_a_soap_service_that_fails_is_explained(service: Service) -> None:
    service.says(http(500, FAULT_11.encode(), content_type="text/xml"))
    report = run_check(integration(service, {"kind": "soap", "health_soap": PING, "soap_action": "urn:ping"}, {}))
    assert (report.ok, report.message) == (
        False,
        "The service answered 500 with a SOAP fault: Out of paper. Check the envelope and the credentials.",
    )
    assert b'SOAPAction: "urn:ping"' in service.requests[0]
    assert service.requests[0].endswith(PING.encode())


def test_a_graphql_service_that_fails_is_explained(service: Service) -> None:
    service.says(http(200, b'{"errors": [{"message": "no such field"}]}'))
    report = run_check(integration(service, {"kind": "graphql"}, {}))
    assert "GraphQL errors: no such field." in report.message


def test_a_service_that_is_not_there_is_explained(service: Service) -> None:
    row = integration(service, {}, {})
    Integration.objects.filter(id=row.id).update(config=row.config | {"base_url": "http://127.0.0.1:9"})
    row.refresh_from_db()
    report = run_check(row)
    assert not report.ok
    assert "127.0.0.1" in report.message


def test_an_event_is_sent_through_the_door(service: Service) -> None:
    service.says(http(202))
    connector: Any = connector_for(integration(service, {"auth": "bearer"}, {"token": SECRET}), CallPurpose.DESTINATION)
    assert connector.send(event(), {"path": "/events"}, DictMemory()).ok
    assert service.requests[0].startswith(b"POST /v1/events")
    assert service.requests[0].endswith(event().body)
    assert f"Bearer {SECRET}".encode() in service.requests[0]
