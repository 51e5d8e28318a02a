"""GET /api/v1/connectors."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from integrations import registry
from integrations.contract.schema import validate_values
from tests.access.keys import client_of

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PATH = "/api/v1/connectors"


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice, "integrations:read")


def test_every_connector_is_listed_by_key(client: APIClient) -> None:
    page = client.get(PATH).json()
    assert (page["next"], page["previous"]) == (None, None)
    assert [found["key"] for found in page["results"]] == sorted(connector.key for connector in registry.CONNECTORS)


def test_one_connector_says_what_it_asks_for(client: APIClient) -> None:
    found = client.get(f"{PATH}/http").json()
    assert found["capabilities"] == ["check", "gateway", "destination"]
    assert found["title"] == "Any HTTP service"
    token = next(field for field in found["fields"] if field["name"] == "token")
    assert (token["secret"], token["required"], token["only_if"]) == (True, True, {"auth": ["bearer"]})
    assert [field["name"] for field in found["destination_fields"]][:2] == ["path", "method"]


def test_its_schemas_say_what_an_integration_may_be(client: APIClient) -> None:
    for found in client.get(PATH).json()["results"]:
        example: dict[str, Any] = found["example"]
        connector = registry.find(found["key"])
        validate_values(connector, example["config"], example["credentials"])
        for name in ("config", "credentials"):
            schema = found[f"{name}_schema"]
            assert jsonschema_rs.meta.is_valid(schema)
            jsonschema_rs.Draft202012Validator(schema).validate(example[name])
            assert all(field.get("writeOnly", False) == (name == "credentials") for field in schema["properties"].values())


def test_an_unknown_connector_is_a_404_that_says_where_to_look(client: APIClient) -> None:
    answer = client.get(f"{PATH}/nothing")
    assert answer.status_code == 404
    assert "GET /api/v1/connectors" in answer.json()["message"]


def test_it_takes_the_scope_of_integrations(alice: User) -> None:
    answer = client_of(alice, "webhooks:read").get(PATH)
    assert answer.status_code == 403
    assert "integrations:read" in answer.json()["message"]


def test_the_catalogue_itself_asks_the_database_nothing(client: APIClient) -> None:
    client.get(PATH)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        client.get(PATH)
    assert [query["sql"] for query in seen.captured_queries if "integrations_" in query["sql"]] == []


def test_a_receiver_says_what_its_sources_are_asked(client: APIClient) -> None:
    found = client.get(f"{PATH}/gitlab").json()
    assert found["capabilities"] == ["check", "inbound", "destination", "follow_up"]
    assert [field["name"] for field in found["source_fields"]] == ["mode"]
    assert found["source_schema"]["properties"]["mode"]["enum"] == ["token", "signing"]
    other = client.get(f"{PATH}/http").json()
    assert (other["source_fields"], other["source_schema"]) == ([], None)
