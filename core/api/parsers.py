"""The one request parser: JSON to the letter of its specification."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from core.fields import JSONValue

MAX_DEPTH = 100


class StrictJSONParser(BaseParser):
    """Parses UTF-8 JSON; refuses NaN, infinities, numbers beyond a double, and nesting deeper than MAX_DEPTH with 400."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """Return the parsed body; an empty one is {}."""
        return parse_json(stream.read())


def parse_json(body: bytes) -> JSONValue:
    """Return the value of a JSON text; raises ParseError with the place of the error."""
    if not body.strip():
        return {}
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is not valid UTF-8 (byte {error.start}).") from error
    try:
        value: JSONValue = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise ParseError(f"The body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise ParseError(f"The body is nested more than {MAX_DEPTH} levels deep.") from error
    except ValueError as error:
        raise ParseError("The body holds a number that is too long.") from error
    _check_depth(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ParseError(f"The body is not valid JSON: {name} is not a JSON number.")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ParseError(f"The number {text[:40]} is too large.")
    return number


def _check_depth(value: JSONValue) -> None:
    # level by level rather than recursively: the value may be as deep as the parser allowed
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise ParseError(f"The body is nested more than {MAX_DEPTH} levels deep.")
