"""JSON Schemas of parameters and bodies: which may be stored, and checking values against them in linear time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema_rs

from core.errors import InvalidInput
from core.texts import storable_json

MAX_BYTES = 32 * 1024
MAX_DEPTH = 20
MAX_PARAMETERS = 100
_PATTERN_BYTES = 100_000
_MAX_ERRORS = 20
MAX_ALTERNATIVES = 200
# values times alternatives: what is checked at all, and what is explained value by value
_MOST_WORK = 5_000_000
_MOST_EXPLAINED = 20_000
_ALTERNATIVES = ("anyOf", "oneOf", "allOf")
_MAX_SENTENCE = 300
# a reference could fetch from elsewhere, or make a small schema take hours
_REFUSED = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "$id", "$anchor", "$dynamicAnchor", "$vocabulary"})
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def check_schema(schema: Any, field: str) -> dict[str, Any]:
    """Return a schema that may be stored; raises InvalidInput on `field`."""
    if not isinstance(schema, dict):
        raise InvalidInput.of(field, "must be a JSON Schema: a JSON object.")
    try:
        text = json.dumps(schema, allow_nan=False)
    except (ValueError, RecursionError):
        raise InvalidInput.of(field, "can't be stored: it is nested too deeply, or holds NaN or infinity.") from None
    if len(text) > MAX_BYTES:
        raise InvalidInput.of(field, f"has {len(text)} bytes; at most {MAX_BYTES} are allowed.")
    if storable_json(schema) != schema:
        raise InvalidInput.of(field, "must not hold NUL characters or lone surrogates.")
    for depth, name in _names(schema):
        if depth > MAX_DEPTH:
            raise InvalidInput.of(field, f"is nested more than {MAX_DEPTH} levels deep.")
        if name in _REFUSED:
            raise InvalidInput.of(field, f"must not use {name}; write what it refers to in its place.")
    if _alternatives(schema, _ALTERNATIVES) > MAX_ALTERNATIVES:
        raise InvalidInput.of(field, f"has more than {MAX_ALTERNATIVES} alternatives in anyOf, oneOf and allOf.")
    if schema.get("$schema", _DRAFT) != _DRAFT:
        raise InvalidInput.of(field, f"is read as JSON Schema 2020-12; leave $schema out, or set it to {_DRAFT}.")
    try:
        compiled(text)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        message = getattr(error, "message", "") or str(error)
        raise InvalidInput.of(field, f"is no valid JSON Schema: {' '.join(message.split())[:_MAX_SENTENCE]}") from None
    return schema


def check_parameters_schema(schema: Any, path_names: list[str], field: str = "parameters") -> dict[str, Any]:
    """Return the schema of an endpoint's parameters: an object, in which every path parameter is declared and required."""
    checked = check_schema(schema, field)
    if checked.get("type", "object") != "object":
        raise InvalidInput.of(field, 'must have the type "object": its properties are the parameters.')
    properties, required = checked.get("properties", {}), checked.get("required", [])
    if not isinstance(properties, dict) or len(properties) > MAX_PARAMETERS:
        raise InvalidInput.of(field, f"declares its parameters as properties, at most {MAX_PARAMETERS}.")
    for name in path_names:
        if name not in properties:
            raise InvalidInput.of(field, f"{{{name}}} stands in the path, but is not among the properties.")
        if name not in required:
            raise InvalidInput.of(field, f"{{{name}}} stands in the path, so it must be listed under required.")
    for name in properties:
        if not name or len(name) > 100 or not name.isprintable():
            raise InvalidInput.of(field, f"{name[:100]!r} can't be a parameter's name.")
    return checked


def check_value(schema: Mapping[str, Any], value: Any, field: str) -> None:
    """Raise InvalidInput on `field` and below unless the value fits the schema."""
    validator = compiled(json.dumps(schema))
    work = _size(value) * max(1, _alternatives(schema, (*_ALTERNATIVES, "enum")))
    if work > _MOST_WORK:
        raise InvalidInput.of(field, "holds too many values to be checked against so many alternatives. Send less at once.")
    try:
        if validator.is_valid(value):
            return
        if work > _MOST_EXPLAINED:  # an error carries those of every alternative
            raise InvalidInput.of(field, "does not fit its schema. It is too large to say where; try a part of it.")
        found = list(islice(validator.iter_errors(value), _MAX_ERRORS))
    except ValueError:  # nested too deeply, or half a character
        raise InvalidInput.of(field, "can't be checked: it is nested too deeply, or holds a lone surrogate.") from None
    errors: dict[str, list[str]] = {}
    for error in found:
        path = ".".join([field, *map(str, error.instance_path)])
        errors.setdefault(path, []).append(error.message[:_MAX_SENTENCE])
    if errors:
        raise InvalidInput(" ".join(f"{path}: {sentences[0]}" for path, sentences in errors.items()), fields=errors)


@lru_cache(maxsize=512)
def compiled(text: str) -> jsonschema_rs.Draft202012Validator:
    """Return the validator of a schema as JSON text: it fetches nothing, and its patterns take linear time. Raises ValueError."""
    options = jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES)
    return jsonschema_rs.Draft202012Validator(json.loads(text), validate_formats=True, pattern_options=options, offline=True)


def _names(value: Any, depth: int = 0) -> Iterator[tuple[int, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield depth, name
            yield from _names(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield depth, ""
            yield from _names(inner, depth + 1)


def _alternatives(schema: Any, keywords: tuple[str, ...]) -> int:
    """Return how many branches these keywords hold, all places together."""
    if isinstance(schema, list):
        return sum(_alternatives(inner, keywords) for inner in schema)
    if not isinstance(schema, dict):
        return 0
    own = sum(len(schema[name]) for name in keywords if isinstance(schema.get(name), list))
    return own + sum(_alternatives(inner, keywords) for inner in schema.values())


def _size(value: Any) -> int:
    """Return of how many values a body is made."""
    total, waiting = 0, [value]
    while waiting:
        total += 1
        one = waiting.pop()
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return total
