"""What the API answers about a connector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.contract.addresses import PublishedAddresses
from integrations.contract.archive import Archive
from integrations.contract.backfill import Backfill
from integrations.contract.connector import BuildSource, Checker, Connector
from integrations.contract.feeds import VulnerabilityFeed
from integrations.contract.fields import Field, FieldKind
from integrations.contract.gateway import GatewayTarget
from integrations.contract.inbound import Receiver
from integrations.contract.outbound import Destination, Followed
from integrations.contract.scans import ScanSource
from integrations.contract.schema import config_schema, credentials_schema, destination_schema, source_schema

CAPABILITIES: dict[str, tuple[type[Connector], str]] = {
    "check": (Checker, "its connection can be tested"),
    "gateway": (GatewayTarget, "teams can call it through named endpoints"),
    "scans": (ScanSource, "findings are read from it"),
    "feed": (VulnerabilityFeed, "it publishes a list about vulnerabilities that findings are enriched from"),
    "builds": (BuildSource, "build runs are read from it"),
    "inbound": (Receiver, "its webhooks are received"),
    "backfill": (Backfill, "it sends missed webhooks again"),
    "addresses": (PublishedAddresses, "it publishes the addresses that its webhooks come from"),
    "destination": (Destination, "events are sent to it"),
    "archive": (Archive, "it keeps old logs before they are deleted"),
    "follow_up": (Followed, "what an event starts there is followed to its end"),
}
_EXAMPLES: dict[FieldKind, Any] = {
    FieldKind.TEXT: "text",
    FieldKind.MULTILINE: "text",
    FieldKind.URL: "https://service.example.com/",
    FieldKind.INTEGER: 1,
    FieldKind.NUMBER: 1,
    FieldKind.BOOLEAN: True,
    FieldKind.WORDS: ["word"],
    FieldKind.MAPPING: {"name": "value"},
}


@dataclass(frozen=True)
class Description:
    """What is known of a connector without any integration of it."""

    key: str
    title: str
    description: str
    categories: list[str]
    capabilities: list[str]
    docs: str
    fields: list[dict[str, Any]]
    destination_fields: list[dict[str, Any]]
    source_fields: list[dict[str, Any]]
    config_schema: dict[str, Any]
    credentials_schema: dict[str, Any]
    destination_schema: dict[str, Any] | None
    source_schema: dict[str, Any] | None
    example: dict[str, Any]


def describe(connector: type[Connector]) -> Description:
    """Return everything that a caller needs to make an integration of this connector."""
    return Description(
        key=connector.key,
        title=connector.title,
        description=connector.description,
        categories=[str(category.value) for category in connector.categories],
        capabilities=capabilities(connector),
        docs=connector.docs,
        fields=[_field(field) for field in connector.fields],
        destination_fields=[_field(field) for field in destination_fields(connector)],
        source_fields=[_field(field) for field in source_fields(connector)],
        config_schema=config_schema(connector),
        credentials_schema=credentials_schema(connector),
        destination_schema=destination_schema(connector),
        source_schema=source_schema(connector),
        example=example(connector),
    )


def capabilities(connector: type[Connector]) -> list[str]:
    """Return the names of what a connector can do."""
    return [name for name, (base, _) in CAPABILITIES.items() if issubclass(connector, base)]


def example(connector: type[Connector]) -> dict[str, Any]:
    """Return values for `config`, `credentials` and, for destinations, `destination` that pass validation."""
    given = connector.example
    config = example_values([field for field in connector.fields if not field.secret], given.get("config", {}))
    secret = [field for field in connector.fields if field.secret]
    values = {
        "config": config,
        "credentials": example_values(secret, given.get("credentials", {}), outer=_with_defaults(connector.fields, config)),
    }
    if issubclass(connector, Destination):
        outer = _with_defaults(connector.fields, config)
        values["destination"] = example_values(connector.destination_fields, given.get("destination", {}), outer=outer)
    return values


def example_values(fields: Sequence[Field], given: Mapping[str, Any], outer: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return `given` and an example for each other field that is required beside it."""
    values: dict[str, Any] = {}
    for field in fields:
        if not field.applies({**(outer or {}), **_with_defaults(fields, values)}):
            continue
        if field.name in given:
            values[field.name] = given[field.name]
        elif field.required and field.default is None:
            values[field.name] = _example_of(field)
    return values


def _with_defaults(fields: Iterable[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    return {**{field.name: field.default for field in fields if field.default is not None}, **values}


def _example_of(field: Field) -> Any:
    if field.example is not None:
        return field.example
    if field.choices:
        first = field.choices[0][0]
        return [first] if field.kind == FieldKind.WORDS else first
    if field.placeholder and field.kind in (FieldKind.TEXT, FieldKind.MULTILINE, FieldKind.URL):
        return field.placeholder
    if field.kind in (FieldKind.INTEGER, FieldKind.NUMBER) and field.low is not None:
        return field.low
    return _EXAMPLES[FieldKind(field.kind)]


def source_fields(connector: type[Connector]) -> tuple[Field, ...]:
    """Return what is asked for on inbound sources, nothing where no webhooks are received."""
    return connector.source_fields if issubclass(connector, Receiver) else ()


def destination_fields(connector: type[Connector]) -> tuple[Field, ...]:
    """Return what is asked for on webhooks, nothing where no events are taken."""
    return connector.destination_fields if issubclass(connector, Destination) else ()


def _field(field: Field) -> dict[str, Any]:
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return {
        "name": field.name,
        "title": field.title,
        "kind": str(FieldKind(field.kind).value),
        "help": field.help,
        "secret": field.secret,
        "required": field.required,
        "default": default,
        "choices": [{"value": value, "title": title} for value, title in field.choices],
        "placeholder": field.placeholder,
        "link": field.link,
        "only_if": {field.only_if[0]: list(field.only_if[1])} if field.only_if else None,
    }
