"""The OpenAPI document, and that it says of every operation what callers need."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from core.api.schema import operations_without_example
from repoguard import api_v1

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return document


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, operation) for path, methods in schema["paths"].items() for method, operation in methods.items()]


def test_every_operation_shows_an_example(schema: dict[str, Any]) -> None:
    assert operations_without_example(schema) == []


def test_an_operation_without_an_example_is_found(schema: dict[str, Any]) -> None:
    bare = {"requestBody": {"content": {"application/json": {}}}, "responses": {"201": {"content": {"application/json": {}}}, "400": {}}}
    assert operations_without_example({"paths": {"/x": {"post": bare}}}) == ["POST /x (request)", "POST /x (201)"]


# they ask other systems, so that no transaction may be open; they create nothing
CALLS_OUT = re.compile(r"/integrations/(test|\{id\}/(test|rotate-credentials|call|endpoints/.*))$")
# a body that is streamed to a file is never held whole, to be compared with that of an earlier request
STREAMED = {"/api/v1/builds/imports/csv", "/api/v1/scans/upload", "/api/v1/inventories/upload"}


def test_every_resource_is_there_and_the_alias_is_not(schema: dict[str, Any]) -> None:
    paths = schema["paths"]
    assert [name for name in api_v1.RESOURCES if not any(f"{path}/".startswith(f"/api/v1/{name}/") for path in paths)] == []
    assert all(path.startswith("/api/v1/") for path in schema["paths"])


def test_operation_ids_are_unique(schema: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(schema)]
    assert len(ids) == len(set(ids))


def test_every_operation_says_its_scope_its_errors_and_its_keys(schema: dict[str, Any]) -> None:
    for path, method, operation in operations(schema):
        if path == "/api/v1/health":
            continue
        resource = path.split("/")[3]
        assert operation["tags"] == [resource], path
        assert re.search(r"`[a-z-]+:(read|write)`", operation["description"]), path
        expected = (
            {"400", "401", "403", "429"} | ({"404"} if "{" in path else set()) | ({"413", "415"} if "requestBody" in operation else set())
        )
        assert expected <= set(operation["responses"]), (path, method)
        for code, answer in operation["responses"].items():
            if code.startswith("4"):
                assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}
        takes_key = any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))
        assert takes_key == (method == "post" and not CALLS_OUT.search(path) and path not in STREAMED), (path, method)


def test_every_list_is_a_page(schema: dict[str, Any]) -> None:
    for path, method, operation in operations(schema):
        if operation["operationId"].endswith("_list") and method == "get":
            answer = operation["responses"]["200"]["content"]["application/json"]
            name = answer["schema"]["$ref"].rpartition("/")[2]
            page = schema["components"]["schemas"][name]
            assert page["required"] == ["results", "next", "previous"], path
            assert all(set(example["value"]) == set(page["required"]) for example in answer["examples"].values()), path


def test_it_is_served_to_anybody_and_shown_by_swagger_from_here() -> None:
    client = Client()
    assert client.get("/api/schema").status_code == 200
    page = client.get("/docs").content.decode()
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    assert all(source.startswith("/") for source in sources), sources
    assert any("swagger-ui" in source for source in sources)
    script = client.get("/docs?script=")
    assert script.status_code == 200
    assert b"/api/schema" in script.content


def test_it_is_json_unless_yaml_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SchemaGenerator, "get_schema", lambda *_, **__: {"openapi": "3.1.0", "paths": {}})
    client = Client()
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, {"Accept": "application/json"}):
        answer = client.get("/api/schema", headers=headers)
        assert answer["Content-Type"] == "application/json", headers
        assert answer.json()["openapi"]
    assert client.get("/api/schema?format=json").json()["openapi"]
    for path, accept in (
        ("/api/schema", "application/yaml"),
        ("/api/schema", "application/vnd.oai.openapi"),
        ("/api/schema?format=yaml", "*/*"),
    ):
        answer = client.get(path, headers={"Accept": accept})
        assert answer.status_code == 200
        assert answer.content.startswith(b"openapi: "), accept


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/api/schema?format=zz", {}, 404),
        ("GET", "/api/schema", {"Accept": "text/html"}, 406),
        ("POST", "/api/schema", {}, 405),
        ("POST", "/api/schema", {"Accept": "application/yaml"}, 405),
        ("GET", "/api/schema", {"Authorization": "Bearer rg_live_wrong_wrong_wrong"}, 401),
    ],
)
def test_its_errors_are_the_api_s(method: str, path: str, headers: dict[str, str], status: int) -> None:
    answer = Client(enforce_csrf_checks=True).generic(method, path, headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/json"), answer.content
    assert set(answer.json()) == {"code", "message", "fields", "request_id"}
