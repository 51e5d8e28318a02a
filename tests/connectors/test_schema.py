"""The JSON Schemas say what validation does."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema_rs
import pytest

from core.errors import InvalidInput
from integrations.connectors.http.connector import HttpConnector
from integrations.contract.connector import Connector
from integrations.contract.schema import config_schema, credentials_schema, destination_schema, validate_values
from tests.connectors.http.test_check import PING
from tests.connectors.test_values import GOOD, Acme, Told


def valid(connector: type[Connector], config: dict[str, Any]) -> bool:
    return jsonschema_rs.Draft202012Validator(config_schema(connector)).is_valid(config)


def taken(connector: type[Connector], config: dict[str, Any]) -> bool:
    try:
        validate_values(connector, config, {"token": "t", **({"key": "k"} if config.get("mode") == "b" else {})})
    except InvalidInput as error:
        return not any(name.startswith("config.") for name in error.fields)
    return True


@pytest.mark.parametrize(
    ("values", "good"),
    [
        ({}, True),
        ({"mode": "a"}, True),
        ({"mode": "b"}, False),
        ({"mode": "b", "team": "blue"}, True),
        ({"mode": "b", "team": "BLUE"}, False),
        ({"mode": "b", "team": "bluish"}, False),
        ({"team": "blue"}, False),
        ({"mode": "c"}, False),
        ({"count": 3}, True),
        ({"count": 0}, False),
        ({"count": "3"}, False),
        ({"on": 1}, False),
        ({"words": ["a"]}, True),
        ({"words": ["123456"]}, False),
        ({"words": "a"}, False),
        ({"kinds": ["x"]}, True),
        ({"kinds": ["z"]}, False),
        ({"names": {"A": "1"}}, True),
        ({"names": {"A": 1}}, False),
        ({"note": None}, False),
        ({"nonsense": 1}, False),
        ({"token": "t"}, False),
    ],
)
def test_schema_and_validation_agree(values: dict[str, Any], good: bool) -> None:
    assert valid(Acme, GOOD | values) == taken(Acme, copy.deepcopy(GOOD | values)) == good
    assert not valid(Acme, values)  # url is required


@pytest.mark.parametrize(
    ("config", "good"),
    [
        ({}, True),
        ({"auth": "basic"}, False),
        ({"auth": "basic", "username": "x"}, True),
        ({"username": "x"}, False),
        ({"kind": "soap"}, False),
        ({"kind": "soap", "health_soap": PING}, True),
        ({"kind": "soap", "health_soap": PING, "health_method": "GET"}, False),
        ({"health_method": "GET"}, True),
    ],
)
def test_conditions_of_the_http_connector_are_in_its_schema(config: dict[str, Any], good: bool) -> None:
    config = {"base_url": "https://x.example/"} | config
    assert valid(HttpConnector, config) == good
    try:
        validate_values(HttpConnector, config, {})
    except InvalidInput:
        assert not good
    else:
        assert good


def test_secrets_are_write_only_and_say_when_they_apply() -> None:
    schema = credentials_schema(Acme)
    assert schema["required"] == ["token"]
    assert schema["properties"]["key"]["x-only-if"] == {"mode": ["b"]}
    assert schema["properties"]["key"]["description"] == "Only if Mode (mode) is b, and then required."
    assert all(field["writeOnly"] for field in schema["properties"].values())


def test_a_webhooks_options_have_a_schema_where_events_are_taken() -> None:
    assert destination_schema(Acme) is None
    schema = destination_schema(Told)
    assert schema is not None
    assert schema["required"] == ["room"]
    assert schema["properties"]["thread"]["x-only-if"] == {"mode": ["b"]}


def test_a_schema_carries_titles_defaults_and_bounds() -> None:
    fields = config_schema(Acme)["properties"]
    assert fields["count"] == {"title": "Count", "type": "integer", "minimum": 1, "maximum": 10, "default": 3}
    assert fields["url"]["format"] == "uri"
    assert fields["team"]["pattern"] == "^(?:[a-z]+)$"
    assert fields["team"]["examples"] == ["blue"]
