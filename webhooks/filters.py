"""Filters: JSON conditions on an event's data. Pure, bounded, without patterns that could run away (docs/webhooks.md).

A filter is an object whose entries must all hold: a path with a condition, or `$and`, `$or`, `$not`. A path is words joined
by dots, from `data` on; `$.` before it starts at the delivered body instead (`$.type`), and `data.` does so where the data
have no `data` of their own. `\\.` is a dot within a word. On a list a whole number picks one element, any other word looks
into every element, and a condition holds when it holds for one value that the path reaches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core.errors import InvalidInput

MAX_CONDITIONS = 100
MAX_DEPTH = 10
MAX_PATH = 300
MAX_WORDS = 20
MAX_BYTES = 16_384
_GROUPS = ("$and", "$or")
_DOT = re.compile(r"(?<!\\)\.")
Body = Mapping[str, Any]


def matches(condition: dict[str, Any] | None, body: Body) -> bool:
    """Say whether the delivered body {id, type, timestamp, data} passes a valid filter; no filter passes everything."""
    return all(_holds(key, value, [body["data"]], body) for key, value in (condition or {}).items())


def check_filter(condition: object) -> dict[str, Any] | None:
    """Return a valid filter (None for one without conditions); raises InvalidInput, naming the path and the operator."""
    if condition is None or condition == {}:
        return None
    if not isinstance(condition, dict):
        raise _invalid("", 'must be an object such as {"severity": {"$in": ["high", "critical"]}}.')
    _check_storable(condition)
    if _check_object(condition, "", 1) > MAX_CONDITIONS:
        raise _invalid("", f"has more than {MAX_CONDITIONS} conditions.")
    return condition


# --- Evaluating -------------------------------------------------------------------------------------------------------


def _holds(key: str, value: Any, roots: list[Any], body: Body) -> bool:
    if key == "$and":
        return all(_all(part, roots, body) for part in value)
    if key == "$or":
        return any(_all(part, roots, body) for part in value)
    if key == "$not":
        return not _all(value, roots, body)
    return _test(value, _reach(key, roots, body), body)


def _all(condition: Any, roots: list[Any], body: Body) -> bool:
    return all(_holds(key, value, roots, body) for key, value in condition.items())


def _reach(path: str, roots: list[Any], body: Body) -> list[Any]:
    words = _words(path)
    if words[0] == "$":
        words, roots = words[1:], [body]
    elif words[0] == "data" and roots and roots[0] is body["data"] and "data" not in body["data"]:
        roots = [body]
    for word in words:
        roots = [found for value in roots for found in _step(value, word)]
    return roots


def _step(value: Any, word: str) -> Iterator[Any]:
    if isinstance(value, Mapping):
        if word in value:
            yield value[word]
    elif isinstance(value, list):
        if word.isascii() and word.isdigit():
            if int(word) < len(value):
                yield value[int(word)]
        else:
            for element in value:
                yield from _step(element, word)


def _test(condition: Any, values: list[Any], body: Body) -> bool:
    if not isinstance(condition, dict):
        return _any_equal(values, condition)
    if _is_nested(condition):
        # each element of a list is looked at on its own: all nested conditions hold for the same one
        return any(_all(condition, [value], body) for value in _spread(values))
    return all(
        not _test(operand, values, body) if name == "$not" else _OPERATORS[name](values, operand) for name, operand in condition.items()
    )


def _is_nested(condition: dict[str, Any]) -> bool:
    return bool(condition) and not any(name.startswith("$") and not name.startswith("$.") and name not in _GROUPS for name in condition)


def _spread(values: list[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, list) else [value]


def _candidates(values: list[Any]) -> Iterator[Any]:
    for value in values:
        yield value
        if isinstance(value, list):
            yield from value


def _any_equal(values: list[Any], operand: Any) -> bool:
    return any(_same(value, operand) for value in _candidates(values))


def _same(left: Any, right: Any) -> bool:
    # true is not 1, as in JSON; 1 and 1.0 are the same number
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[list[Any], Any], bool]:
    def test(values: list[Any], operand: Any) -> bool:
        return any(compare(value, operand) for value in _candidates(values) if _comparable(value, operand))

    return test


def _comparable(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    both_numbers = isinstance(left, int | float) and isinstance(right, int | float)
    return both_numbers or (isinstance(left, str) and isinstance(right, str))


def _text(test: Callable[[str, str], bool]) -> Callable[[list[Any], Any], bool]:
    return lambda values, operand: any(test(value, operand) for value in _candidates(values) if isinstance(value, str))


def _contains(values: list[Any], operand: Any) -> bool:
    return any(
        any(_same(element, operand) for element in value)
        if isinstance(value, list)
        else isinstance(value, str) and isinstance(operand, str) and operand in value
        for value in values
    )


def _is_in(values: list[Any], operand: Any) -> bool:
    return any(_any_equal(values, choice) for choice in operand)


_OPERATORS: dict[str, Callable[[list[Any], Any], bool]] = {
    "$eq": _any_equal,
    "$neq": lambda values, operand: not _any_equal(values, operand),
    "$gt": _ordered(lambda left, right: left > right),
    "$gte": _ordered(lambda left, right: left >= right),
    "$lt": _ordered(lambda left, right: left < right),
    "$lte": _ordered(lambda left, right: left <= right),
    "$in": _is_in,
    "$nin": lambda values, operand: not _is_in(values, operand),
    "$startsWith": _text(str.startswith),
    "$endsWith": _text(str.endswith),
    "$contains": _contains,
    "$exist": lambda values, operand: bool(values) is operand,
}
OPERATORS = (*_OPERATORS, "$not")


# --- Checking ---------------------------------------------------------------------------------------------------------


def _check_object(condition: dict[str, Any], where: str, depth: int) -> int:
    """Check the entries of an object of conditions; return how many there are in all."""
    if depth > MAX_DEPTH:
        raise _invalid(where, f"is nested more than {MAX_DEPTH} deep.")
    if not condition:
        raise _invalid(where, "is empty; give a condition or leave it out.")
    count = 0
    for key, value in condition.items():
        place = f"{where}.{key}" if where else key
        if key in _GROUPS:
            count += _check_group(value, place, depth)
        elif key == "$not":
            if not isinstance(value, dict):
                raise _invalid(place, "must be an object of conditions.")
            count += _check_object(value, place, depth + 1)
        else:
            _check_path(key, place)
            count += _check_condition(value, place, depth)
    return count


def _check_group(value: object, place: str, depth: int) -> int:
    if not isinstance(value, list) or not value or not all(isinstance(part, dict) for part in value):
        raise _invalid(place, "must be a list of one or more objects of conditions.")
    return sum(_check_object(part, f"{place}[{index}]", depth + 1) for index, part in enumerate(value))


def _check_path(path: str, place: str) -> None:
    if path.startswith("$") and not path.startswith("$."):
        raise _invalid(place, f"is not an operator that can stand here; they are {', '.join([*_GROUPS, *OPERATORS])}.")
    words = _words(path)
    if words[0] == "$":
        words = words[1:]
    if len(path) > MAX_PATH or len(words) > MAX_WORDS or not all(words):
        raise _invalid(place, f"is not a path: words joined by single dots, at most {MAX_WORDS} of them and {MAX_PATH} characters.")


def _check_condition(value: Any, place: str, depth: int) -> int:
    if not isinstance(value, dict):
        _check_operand(value, place)
        return 1
    if _is_nested(value):
        return _check_object(value, place, depth + 1)
    if not value:
        raise _invalid(place, "is empty; give a value or an operator.")
    return sum(_check_operator(name, operand, f"{place}.{name}", depth) for name, operand in value.items())


def _check_operator(name: str, operand: Any, place: str, depth: int) -> int:
    if name not in OPERATORS:
        raise _invalid(place, f"is not known; the operators are {', '.join(OPERATORS)}.")
    if name == "$not":
        if depth >= MAX_DEPTH:
            raise _invalid(place, f"is nested more than {MAX_DEPTH} deep.")
        return _check_condition(operand, place, depth + 1)
    if name in {"$in", "$nin"} and (not isinstance(operand, list) or not operand):
        raise _invalid(place, "must be a list of one or more values.")
    if name == "$exist" and not isinstance(operand, bool):
        raise _invalid(place, "must be true or false.")
    if name in {"$startsWith", "$endsWith"} and not isinstance(operand, str):
        raise _invalid(place, "must be a text.")
    if name in {"$gt", "$gte", "$lt", "$lte"} and not _comparable(operand, operand):
        raise _invalid(place, "must be a number or a text.")
    _check_operand(operand, place)
    return 1


def _check_operand(operand: Any, place: str) -> None:
    level = [operand]
    for _ in range(MAX_DEPTH):
        level = [part for value in level for part in _parts(value)]
    if level:
        raise _invalid(place, f"holds a value nested more than {MAX_DEPTH} deep.")


def _parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []


def _check_storable(condition: dict[str, Any]) -> None:
    try:
        size = len(json.dumps(condition, allow_nan=False, ensure_ascii=False).encode())
    except (ValueError, RecursionError) as error:
        raise _invalid("", "holds a number or a character that JSON can't express, or is nested too deeply.") from error
    if size > MAX_BYTES:
        raise _invalid("", f"is {size} bytes of JSON; at most {MAX_BYTES} are allowed.")
    if "\\u0000" in json.dumps(condition):
        raise _invalid("", "holds a NUL character, which can't be stored.")


def _words(path: str) -> list[str]:
    return [word.replace("\\.", ".") for word in _DOT.split(path)]


def _invalid(place: str, sentence: str) -> InvalidInput:
    return InvalidInput.of("filter", f"{place[:MAX_PATH]} {sentence}".strip())
