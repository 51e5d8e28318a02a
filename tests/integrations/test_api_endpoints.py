from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator
from rest_framework.test import APIClient

from access.models import AuditEntry
from integrations.gateway.openapi import document
from integrations.models import Endpoint, Integration
from tests.access.keys import client_of
from tests.factories import statements
from tests.integrations.services_kit import PARAMETERS, TOKEN, make_endpoint, make_integration

pytestmark = pytest.mark.django_db
LEAST = {"name": "get-status", "path": "/status"}
FULL = {
    "name": "search-issues",
    "description": "Issues of a project",
    "method": "POST",
    "path": "/issues/{id}",
    "parameters": PARAMETERS,
    "body_schema": {"type": "object"},
    "fixed_query": {"per_page": 50, "all": True},
    "cache_seconds": 0,
    "scope": "findings:read",
    "enabled": False,
}


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice)


@pytest.fixture
def integration(alice: User) -> Integration:
    return make_integration(alice, "https://api.example.com/v1")


@pytest.fixture
def url(integration: Integration) -> str:
    return f"/api/v1/integrations/{integration.pk}/endpoints"


def test_an_endpoint_is_made_read_changed_and_deleted(client: APIClient, url: str, integration: Integration) -> None:
    answer = client.post(url, FULL, format="json")
    assert answer.status_code == 201, answer.json()
    body = answer.json()
    stored = Endpoint.objects.get()
    assert body == {
        "id": str(stored.pk), **FULL, "url": f"{url}/search-issues", "created_at": body["created_at"], "updated_at": body["updated_at"]
    }  # fmt: skip
    assert client.get(f"{url}/search-issues").json() == body
    assert client.get(url).json() == {"results": [body], "next": None, "previous": None}
    changed = client.patch(f"{url}/search-issues", {"enabled": True}, format="json").json()
    assert (changed["enabled"], changed["scope"], changed["method"]) == (True, "findings:read", "POST")
    replaced = client.put(f"{url}/search-issues", LEAST, format="json").json()
    assert (replaced["name"], replaced["method"], replaced["parameters"], replaced["body_schema"]) == ("get-status", "GET", {}, None)
    assert client.get(f"{url}/search-issues").status_code == 404
    assert client.delete(f"{url}/get-status").status_code == 204
    assert not Endpoint.objects.exists()
    entries = AuditEntry.objects.filter(object_type="endpoint").order_by("id")
    assert [entry.verb for entry in entries] == ["created", "changed", "changed", "deleted"]
    assert {entry.owner_id for entry in entries} == {integration.owner_id}
    assert entries[1].changes == {"enabled": [False, True]}


def test_what_was_read_can_be_sent_back(client: APIClient, url: str) -> None:
    body = client.post(url, FULL, format="json").json()
    assert client.put(f"{url}/search-issues", body, format="json").json() == body
    assert not AuditEntry.objects.filter(object_type="endpoint", verb="changed").exists()


def test_a_name_is_taken_once_in_an_integration(client: APIClient, url: str, alice: User) -> None:
    client.post(url, LEAST, format="json")
    answer = client.post(url, LEAST, format="json")
    assert (answer.status_code, list(answer.json()["fields"])) == (409, ["name"])
    client.post(url, FULL, format="json")
    assert client.patch(f"{url}/search-issues", {"name": "get-status"}, format="json").status_code == 409
    other = make_integration(alice, "https://api.example.org")
    assert client.post(f"/api/v1/integrations/{other.pk}/endpoints", LEAST, format="json").status_code == 201


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Get"}, "name"), ({"name": "a b"}, "name"), ({"name": "-a"}, "name"), ({"name": "x" * 61}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"), ({"name": None}, "name"), ({"method": "TRACE"}, "method"), ({"method": "get"}, "method"),
        ({"path": "https://evil.example"}, "path"), ({"path": "/../x"}, "path"), ({"path": "/{a}"}, "parameters"), ({"path": 5}, "path"),
        ({"path": "/{id}", "parameters": {"properties": {"id": {}}}}, "parameters"), ({"parameters": []}, "parameters"),
        ({"parameters": {"type": "array"}}, "parameters"), ({"parameters": {"properties": {"a": {"type": "strin"}}}}, "parameters"),
        ({"parameters": {"properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}}}, "parameters"),
        ({"parameters": {"properties": {"a": {"pattern": "(?=a)b"}}}}, "parameters"),
        ({"parameters": {"properties": {"a": {"pattern": "(a+)+$("}}}}, "parameters"),
        ({"parameters": {"$schema": "http://json-schema.org/draft-04/schema#"}}, "parameters"),
        ({"parameters": {"description": "x" * 33_000}}, "parameters"), ({"parameters": nested(30)}, "parameters"),
        ({"parameters": {"properties": {str(n): {} for n in range(101)}}}, "parameters"),
        ({"parameters": {"properties": {"": {}}}}, "parameters"),
        ({"body_schema": {"type": "object"}}, "body_schema"), ({"body_schema": [], "method": "POST"}, "body_schema"),
        ({"body_schema": {"type": 5}, "method": "POST"}, "body_schema"), ({"fixed_query": []}, "fixed_query"),
        ({"fixed_query": {"a": {}}}, "fixed_query"),
        ({"fixed_query": {"a": "x\r\ny"}}, "fixed_query"),
        ({"fixed_query": {"a": 1}, "parameters": {"properties": {"a": {}}}}, "fixed_query"),
        ({"cache_seconds": -1}, "cache_seconds"), ({"cache_seconds": 604_801}, "cache_seconds"), ({"cache_seconds": "5"}, "cache_seconds"),
        ({"cache_seconds": 5, "method": "POST"}, "cache_seconds"), ({"scope": "everything"}, "scope"), ({"scope": "all"}, "scope"),
        ({"enabled": "yes"}, "enabled"), ({"headers": {}}, "headers"), ({"description": "x" * 501}, "description"),
        ({"description": "\x00"}, "description"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_400_that_names_its_field(client: APIClient, url: str, change: dict[str, Any], field: str) -> None:
    answer = client.post(url, LEAST | change, format="json")
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["fields"]) == [field]
    assert not Endpoint.objects.exists()


def test_everything_that_is_wrong_is_named_at_once(client: APIClient, url: str) -> None:
    answer = client.post(url, LEAST | {"name": "A", "path": "x", "scope": "y"}, format="json")
    assert set(answer.json()["fields"]) == {"name", "path", "scope"}


def test_a_change_is_checked_against_what_stays(client: APIClient, url: str) -> None:
    client.post(url, FULL, format="json")
    assert list(client.patch(f"{url}/search-issues", {"method": "GET"}, format="json").json()["fields"]) == ["body_schema"]
    assert list(client.patch(f"{url}/search-issues", {"path": "/{other}"}, format="json").json()["fields"]) == ["parameters"]
    assert (
        client.patch(f"{url}/search-issues", {"method": "GET", "body_schema": None, "cache_seconds": 5}, format="json").status_code == 200
    )


@pytest.mark.parametrize("name", ["no-such", "%00", "x" * 300, "..", "get%2Fstatus", "\N{PILE OF POO}"])
def test_an_unknown_name_is_a_404(client: APIClient, url: str, name: str) -> None:
    for method in ("get", "put", "patch", "delete", "post"):
        assert getattr(client, method)(f"{url}/{name}", LEAST if method == "put" else {}, format="json").status_code == 404


def test_a_stranger_finds_nothing(charlie: User, url: str, integration: Integration) -> None:
    make_endpoint(integration)
    stranger = client_of(charlie)
    assert stranger.get(url).status_code == 404
    assert stranger.post(url, LEAST, format="json").status_code == 404
    assert stranger.delete(f"{url}/get-issue").status_code == 404
    assert Endpoint.objects.count() == 1


def test_the_list_takes_as_many_statements_for_many(client: APIClient, url: str, integration: Integration) -> None:
    make_endpoint(integration)
    client.get(url)
    with CaptureQueriesContext(connection) as few:
        client.get(url)
    for number in range(10):
        make_endpoint(integration, name=f"e-{number}")
    with CaptureQueriesContext(connection) as many:
        assert len(client.get(url).json()["results"]) == 11
    assert statements(few) == statements(many)


def test_the_document_describes_what_may_be_called(client: APIClient, url: str, integration: Integration) -> None:
    make_endpoint(integration)
    make_endpoint(integration, name="off", enabled=False)
    make_endpoint(
        integration, name="add", method="POST", path="/issues", parameters={}, body_schema={"type": "object"}, scope="findings:write"
    )
    found = client.get(f"/api/v1/integrations/{integration.pk}/openapi").json()
    assert found["openapi"] == "3.1.0"
    assert set(found["paths"]) == {f"{url}/get-issue", f"{url}/add"}
    operation = found["paths"][f"{url}/add"]["post"]
    assert "`integrations:write` and `findings:write`" in operation["description"]
    assert set(operation["responses"]) == {"200", "400", "401", "403", "404", "409", "429", "502", "503", "504"}
    schema = found["paths"][f"{url}/get-issue"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert Draft202012Validator(schema).is_valid({"parameters": {"id": "7"}})
    assert not Draft202012Validator(schema).is_valid({"parameters": {}})
    assert not Draft202012Validator(schema).is_valid({"parameters": {"id": "7", "more": 1}})
    assert TOKEN not in str(found)


def test_the_document_is_valid_openapi(integration: Integration) -> None:
    make_endpoint(integration)
    make_endpoint(integration, name="add", method="POST", path="/issues", parameters={}, body_schema={"type": "object"})
    validate_schema(document(integration, Endpoint.objects.all()))


def test_the_public_schema_names_nobodys_endpoints(client: APIClient, integration: Integration) -> None:
    make_endpoint(integration, name="secret-plan")
    found = APIClient().get("/api/schema").content.decode()
    assert "secret-plan" not in found
    assert "/api/v1/integrations/{id}/endpoints/{name}" in found


@pytest.mark.once
def test_whoever_signs_in_finds_their_endpoints_in_the_schema(
    client: APIClient, charlie: User, alice: User, url: str, integration: Integration
) -> None:
    make_endpoint(integration)
    make_endpoint(integration, name="off", enabled=False)
    document = client.get("/api/schema").json()
    validate_schema(document)
    found = [path for path in document["paths"] if str(integration.pk) in path]
    assert found == [f"{url}/get-issue"]
    assert "`id`" in document["paths"][found[0]]["post"]["description"]
    for other in (client_of(charlie), client_of(alice, "findings:read"), APIClient()):
        assert str(integration.pk) not in other.get("/api/schema").content.decode()


@pytest.mark.parametrize(
    "hostile",
    [
        {"description": "a\0b"},
        {"path": "/a\0b"},
        {"fixed_query": {"a\0": "b"}},
        {"fixed_query": {"a": "b\0"}},
        {"body_schema": {"type": "object", "title": "a\0b"}},
        {"body_schema": {"type": "object", "title": "\ud800"}},
        {"parameters": {**PARAMETERS, "title": "a\0"}},
    ],
    ids=str,
)
def test_what_no_database_stores_is_refused(client: APIClient, url: str, hostile: dict[str, Any]) -> None:
    answer = client.post(url, json.dumps({**FULL, **hostile}), content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert set(answer.json()["fields"]) == set(hostile)
    assert not Endpoint.objects.exists()
