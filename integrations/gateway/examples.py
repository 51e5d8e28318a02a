"""Values made up from a JSON Schema: what a person sees first, and fills in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MOST_VALUES = 100
_LONGEST = 200
_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T13:30:00Z",
    "time": "13:30:00Z",
    "email": "somebody@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com",
    "uuid": "01234567-89ab-7def-8123-456789abcdef",
}


def example_of(schema: Any, unknown: str = "…") -> Any:
    """Return a value with what a schema requires, at most MOST_VALUES values in all; `unknown` stands for a text of which nothing is known.

    What the author wrote (example, examples, default, const, enum) is taken as it is. It need not fit rules such as a pattern.
    """
    return _Maker(unknown).value(schema)


class _Maker:
    def __init__(self, unknown: str) -> None:
        self._unknown, self._left = unknown, MOST_VALUES

    def value(self, schema: Any) -> Any:
        self._left -= 1
        if not isinstance(schema, Mapping) or self._left < 0:
            return self._unknown
        for name in ("example", "default", "const"):
            if name in schema:
                return self._written(schema[name])
        for name in ("examples", "enum"):
            if isinstance(schema.get(name), list) and schema[name]:
                return self._written(schema[name][0])
        schema = _merged(schema)
        return self._of_type(_type(schema), schema)

    def _written(self, value: Any) -> Any:
        self._left -= len(json.dumps(value)) // _LONGEST  # so that a large one is not repeated often
        return value

    def _of_type(self, kind: str, schema: Mapping[str, Any]) -> Any:
        if kind == "object":
            properties = schema.get("properties", {})
            return {name: self.value(properties.get(name)) for name in schema.get("required", []) if self._left > 0}
        if kind == "array":
            places = schema.get("prefixItems", [])
            count = min(int(schema.get("minItems", 0)), MOST_VALUES)
            kinds = (places[place] if place < len(places) else schema.get("items") for place in range(count))
            return [self.value(wanted) for wanted in kinds if self._left > 0]
        if kind in ("integer", "number"):
            try:
                return _number(schema)
            except (OverflowError, ZeroDivisionError):  # numbers that no float holds
                return 1
        if kind == "boolean":
            return True
        return None if kind == "null" else self._text(schema)

    def _text(self, schema: Mapping[str, Any]) -> str:
        text = _FORMATS.get(str(schema.get("format")), self._unknown)
        return text.ljust(min(int(schema.get("minLength", 0)), _LONGEST), "…")


def _merged(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema with what all of allOf and the first of anyOf and oneOf ask besides."""
    parts = [part for part in schema.get("allOf", []) if isinstance(part, Mapping)]
    parts += [schema[name][0] for name in ("anyOf", "oneOf") if schema.get(name) and isinstance(schema[name][0], Mapping)]
    found = dict(schema)
    for part in map(_merged, parts):
        required = [*found.get("required", []), *(name for name in part.get("required", []) if name not in found.get("required", []))]
        found = {**part, **found, "properties": {**part.get("properties", {}), **found.get("properties", {})}, "required": required}
    return found


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    return str(kind or ("object" if schema.get("properties") or schema.get("required") else "array" if schema.get("items") else "string"))


def _number(schema: Mapping[str, Any]) -> Any:
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum", schema["exclusiveMinimum"] + step if "exclusiveMinimum" in schema else None)
    high = schema.get("maximum", schema["exclusiveMaximum"] - step if "exclusiveMaximum" in schema else None)
    if low is not None:
        found = low if low % step == 0 else low - low % step + step
    else:
        found = step if high is None or high >= step else high - high % step
    return int(found) if found == int(found) else found
