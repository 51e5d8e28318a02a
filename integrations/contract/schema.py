"""What follows from declared fields: JSON Schemas (draft 2020-12), validation and forms. Callers import all of it from here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from core.http.guard import MAX_URL
from integrations.contract.connector import Connector
from integrations.contract.fields import Field, FieldKind
from integrations.contract.forms import AGAIN, beside_field, counted_from_one, form_fields, form_values
from integrations.contract.inbound import Receiver
from integrations.contract.kinds import BIGGEST, MAX_ENTRIES, MAX_NAME
from integrations.contract.outbound import Destination
from integrations.contract.values import validate_options, validate_source, validate_values

__all__ = [
    "AGAIN",
    "beside_field",
    "config_schema",
    "counted_from_one",
    "credentials_schema",
    "destination_schema",
    "form_fields",
    "form_values",
    "json_schema",
    "source_schema",
    "validate_options",
    "validate_source",
    "validate_values",
]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def config_schema(connector: type[Connector]) -> Schema:
    """Return the schema of an integration's `config`."""
    return json_schema([field for field in connector.fields if not field.secret], title=f"{connector.title}: configuration")


def credentials_schema(connector: type[Connector]) -> Schema:
    """Return the schema of an integration's `credentials`, as a new integration needs them: they are written, and never shown."""
    secret = [field for field in connector.fields if field.secret]
    return json_schema(secret, title=f"{connector.title}: credentials", outer=[field for field in connector.fields if not field.secret])


def destination_schema(connector: type[Connector]) -> Schema | None:
    """Return the schema of a webhook's `destination` options, None where the connector takes no events."""
    if not issubclass(connector, Destination):
        return None
    return json_schema(connector.destination_fields, title=f"{connector.title}: destination", outer=connector.fields)


def source_schema(connector: type[Connector]) -> Schema | None:
    """Return the schema of an inbound source's `config`, None where the connector receives no webhooks."""
    if not issubclass(connector, Receiver):
        return None
    return json_schema(connector.source_fields, title=f"{connector.title}: inbound source")


def json_schema(fields: Sequence[Field], *, title: str = "", outer: Sequence[Field] = ()) -> Schema:
    """Return the schema of an object with these fields.

    A condition on one of these fields becomes if/then/else. One on a field of `outer`, which stands in another object, can't be
    said in this schema: it is described, and noted as `x-only-if`.
    """
    by_name = {field.name: field for field in fields}
    schema: Schema = {"$schema": DIALECT, "type": "object", "properties": {}, "additionalProperties": False}
    if title:
        schema["title"] = title
    conditions: dict[tuple[str, tuple[str, ...]], list[Field]] = {}
    for field in fields:
        described = schema["properties"][field.name] = _property(field)
        if field.only_if is None:
            continue
        if field.only_if[0] in by_name:
            conditions.setdefault(field.only_if, []).append(field)
        else:
            _note(described, field, outer)
    if required := [field.name for field in fields if field.only_if is None and _must_be_sent(field)]:
        schema["required"] = required
    if conditions:
        schema["allOf"] = [_condition(by_name[name], values, meant) for (name, values), meant in conditions.items()]
    return schema


def _must_be_sent(field: Field) -> bool:
    return field.required and field.default is None


def _condition(choice: Field, values: tuple[str, ...], fields: Sequence[Field]) -> Schema:
    """Return: these fields are sent only if the choice has one of the values, and then the required ones must be."""
    test: Schema = {"properties": {choice.name: {"enum": list(values)}}}
    if choice.default not in values:  # left out, it would be the default
        test["required"] = [choice.name]
    condition: Schema = {"if": test, "else": {"properties": dict.fromkeys((field.name for field in fields), False)}}
    if required := [field.name for field in fields if _must_be_sent(field)]:
        condition["then"] = {"required": required}
    return condition


def _note(described: Schema, field: Field, outer: Sequence[Field]) -> None:
    name, values = field.only_if or ("", ())
    title = next((other.title for other in outer if other.name == name), name)
    sentence = f"Only if {title} ({name}) is {' or '.join(values)}{', and then required' if field.required else ''}."
    described["description"] = f"{described.get('description', '')} {sentence}".strip()
    described["x-only-if"] = {name: list(values)}


def _property(field: Field) -> Schema:
    schema: Schema = {"title": field.title, **_KINDS[FieldKind(field.kind)](field)}
    if text := " ".join(part for part in (field.help, f"See {field.link}" if field.link else "") if part):
        schema["description"] = text
    if field.default is not None:
        schema["default"] = _plain(field.default)
    if field.secret:
        schema["writeOnly"] = True
    elif (example := field.placeholder or field.example) and schema["type"] == "string" and not field.choices:
        schema["examples"] = [example]
    return schema


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _text(field: Field) -> Schema:
    schema: Schema = {"type": "string", "maxLength": field.max_length}
    if field.required:
        schema["minLength"] = 1
    if field.pattern:
        schema["pattern"] = f"^(?:{field.pattern})$" if field.required else f"^(?:{field.pattern})?$"
    if field.kind == FieldKind.URL:
        schema |= {"format": "uri", "maxLength": min(field.max_length, MAX_URL)}
    return schema


def _number(field: Field) -> Schema:
    low, high = -BIGGEST if field.low is None else field.low, BIGGEST if field.high is None else field.high
    schema: Schema = {"type": "integer" if field.kind == FieldKind.INTEGER else "number"}
    return schema | {"minimum": _short(low), "maximum": _short(high)}


def _short(value: float) -> int | float:
    return int(value) if math.isfinite(value) and float(value).is_integer() else value


def _boolean(field: Field) -> Schema:
    return {"type": "boolean"}


def _choice(field: Field) -> Schema:
    names = [name for name, _ in field.choices]
    return {"type": "string", "enum": names if field.required or field.default is not None else [*names, ""]}


def _words(field: Field) -> Schema:
    one: Schema = {"type": "string", "minLength": 1, "maxLength": field.max_length}
    if field.choices:
        one = {"type": "string", "enum": [name for name, _ in field.choices]}
    elif field.pattern:
        one["pattern"] = f"^(?:{field.pattern})$"
    return {"type": "array", "items": one, "maxItems": MAX_ENTRIES, **({"minItems": 1} if field.required else {})}


def _mapping(field: Field) -> Schema:
    return {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": field.max_length},
        "propertyNames": {"minLength": 1, "maxLength": MAX_NAME},
        "maxProperties": MAX_ENTRIES,
        **({"minProperties": 1} if field.required else {}),
    }


_KINDS = {
    FieldKind.TEXT: _text,
    FieldKind.MULTILINE: _text,
    FieldKind.URL: _text,
    FieldKind.INTEGER: _number,
    FieldKind.NUMBER: _number,
    FieldKind.BOOLEAN: _boolean,
    FieldKind.CHOICE: _choice,
    FieldKind.WORDS: _words,
    FieldKind.MAPPING: _mapping,
}
