"""How values become texts and JSON. They are plain JSON values, whatever a template does with them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from templates_app.rendering.meter import MAX_OUTPUT, Exceeded, Meter


class JsonText(str):
    """JSON that the `json` filter made: written as it is where JSON is expected."""

    __slots__ = ()


def as_text(value: Any, meter: Meter) -> str:
    """Return a value as people read it: nothing for null, lists and objects as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return as_json(value, meter)


def as_json(value: Any, meter: Meter) -> JsonText:
    """Return a value as JSON."""
    if isinstance(value, JsonText):
        return value
    meter.text(least_size(value))
    try:
        return JsonText(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except (ValueError, TypeError, RecursionError):
        raise Exceeded("A value can't be written as JSON: it is nested too deeply, or no finite number.") from None


def least_size(value: Any) -> int:
    """Return how long a value is at least as JSON, before it is made: a list may hold one long text a thousand times."""
    size, waiting = 0, [iter((value,))]
    while waiting and size <= MAX_OUTPUT:
        item = next(waiting[-1], _END)
        if item is _END:
            waiting.pop()
            continue
        size += 1 + (len(item) if isinstance(item, str) else 0)
        if (below := _below(item)) is not None:
            waiting.append(below)
    return size


def _below(item: Any) -> Iterator[Any] | None:
    if isinstance(item, Mapping):
        return chain.from_iterable(item.items())
    return iter(item) if isinstance(item, list | tuple) else None


_END = object()
