"""Examples made from schemas: they fit, and are bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.gateway.examples import MOST_VALUES, example_of
from integrations.gateway.schemas import check_value

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, "…"),
        (True, "…"),
        ({"type": "object"}, {}),
        ({"required": ["a"]}, {"a": "…"}),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "null"}, None),
        ({"type": "boolean"}, True),
        ({"type": "number", "exclusiveMinimum": 2}, 3),
        ({"type": "integer", "maximum": 0}, 0),
        ({"type": "integer", "minimum": 7, "multipleOf": 5}, 10),
        ({"type": "string", "examples": ["x", "y"]}, "x"),
        ({"const": None}, None),
        ({"type": "string", "format": "date-time"}, "2026-01-31T13:30:00Z"),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({"allOf": [{"required": ["a"], "properties": {"a": {"const": 1}}}, {"required": ["b"], "properties": {"b": {"const": 2}}}]},
         {"a": 1, "b": 2}),
        ({"type": "array", "minItems": 2, "prefixItems": [{"const": 1}], "items": {"const": 2}}, [1, 2]),
    ],
)  # fmt: skip
def test_an_example_fits_its_schema(schema: Any, expected: Any) -> None:
    assert example_of(schema) == expected
    if isinstance(schema, dict):
        check_value(schema, expected, "body")


def test_an_example_is_bounded() -> None:
    schema: Any = {"type": "string", "minLength": 10**9}
    for _ in range(15):
        schema = {"type": "array", "minItems": 10**6, "items": schema}
    assert json.dumps(example_of(schema)).count(",") <= MOST_VALUES
    large = {"type": "array", "minItems": 1000, "items": {"default": "x" * 10_000}}
    assert len(json.dumps(example_of(large))) < 50_000
    assert example_of({"type": "number", "minimum": 10**400, "multipleOf": 0.5}) == 1
    many = {"type": "object", "required": [f"n{number}" for number in range(5000)]}
    assert len(example_of(many)) <= MOST_VALUES
