"""The filters of payload templates: our own, on plain JSON values only, each of which counts what it makes before it makes it."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import html
import math
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from templates_app.rendering.comparing import COMPARED_A_STEP
from templates_app.rendering.meter import Meter
from templates_app.rendering.texts import as_json, as_text

Filter = Callable[..., Any]
_BIGGEST = 10**15
_DATE_PARTS = frozenset("YmdHMSbBaAjpIyzZFTR%")
_MAX_FORMAT = 100
_LINE_END = re.compile(r"\r?\n")


class FilterRefused(Exception):
    """A filter can't do that with this value."""


# --- texts ------------------------------------------------------------------------------------------------------------


def _text(work: Callable[[str], str], growth: int = 1) -> Filter:
    """Return a filter that makes of a text another one, at most so many times as long."""

    def apply(meter: Meter, value: Any) -> str:
        text = as_text(value, meter)
        meter.text(len(text) * growth)
        return work(text)

    return apply


def _append(meter: Meter, value: Any, more: Any) -> str:
    first, second = as_text(value, meter), as_text(more, meter)
    meter.text(len(first) + len(second))
    return first + second


def _prepend(meter: Meter, value: Any, more: Any) -> str:
    return _append(meter, more, value)


def _replace(meter: Meter, value: Any, old: Any, new: Any = "") -> str:
    text, wanted, put = as_text(value, meter), as_text(old, meter), as_text(new, meter)
    meter.text(len(text) + text.count(wanted) * max(0, len(put) - len(wanted)))
    return text.replace(wanted, put)


def _replace_first(meter: Meter, value: Any, old: Any, new: Any = "") -> str:
    text, wanted, put = as_text(value, meter), as_text(old, meter), as_text(new, meter)
    meter.text(len(text) + len(put))
    return text.replace(wanted, put, 1)


def _remove(meter: Meter, value: Any, old: Any) -> str:
    return _replace(meter, value, old)


def _truncate(meter: Meter, value: Any, length: Any = 50, end: Any = "...") -> str:
    text, limit, ending = as_text(value, meter), int(_number(length)), as_text(end, meter)
    meter.text(min(len(text), max(limit, 0)) + len(ending))
    return text if len(text) <= limit else text[: max(0, limit - len(ending))] + ending


def _truncate_words(meter: Meter, value: Any, count: Any = 15, end: Any = "...") -> str:
    text, ending = as_text(value, meter), as_text(end, meter)
    meter.text(len(text) + len(ending))
    words = text.split()
    limit = max(1, int(_number(count)))
    return text if len(words) <= limit else " ".join(words[:limit]) + ending


def _slice(meter: Meter, value: Any, start: Any, length: Any = 1) -> Any:
    of: Any = _list(meter, value) if isinstance(value, list) else as_text(value, meter)
    begin = int(_number(start))
    begin = max(0, begin + len(of)) if begin < 0 else begin
    part = of[begin : begin + max(0, int(_number(length)))]
    (meter.items if isinstance(part, list) else meter.text)(len(part))
    return part


def _split(meter: Meter, value: Any, separator: Any = " ") -> list[str]:
    text, between = as_text(value, meter), as_text(separator, meter)
    meter.text(len(text))
    meter.items(text.count(between) + 1 if between else len(text))
    return (text.split(between) if between else list(text)) if text else []


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode()


def _url_encode(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


# --- lists ------------------------------------------------------------------------------------------------------------


def _list(meter: Meter, value: Any) -> list[Any]:
    if value is None:
        return []
    found = value if isinstance(value, list) else [value]
    meter.items(len(found))
    return found


def _join(meter: Meter, value: Any, separator: Any = " ") -> str:
    items, between = [as_text(item, meter) for item in _list(meter, value)], as_text(separator, meter)
    meter.text(sum(map(len, items)) + len(between) * len(items))
    return between.join(items)


def _get(item: Any, key: Any) -> Any:
    return item.get(key) if isinstance(item, Mapping) and isinstance(key, str) else None


def _map(meter: Meter, value: Any, key: Any) -> list[Any]:
    return [_get(item, key) for item in _list(meter, value)]


def _matches(item: Any, key: Any, wanted: tuple[Any, ...]) -> bool:
    found = _get(item, key)
    return found == wanted[0] and isinstance(found, bool) == isinstance(wanted[0], bool) if wanted else found not in (None, False)


def _where(meter: Meter, value: Any, key: Any, *wanted: Any) -> list[Any]:
    return [item for item in _compared(meter, value, wanted) if _matches(item, key, wanted)]


def _reject(meter: Meter, value: Any, key: Any, *wanted: Any) -> list[Any]:
    return [item for item in _compared(meter, value, wanted) if not _matches(item, key, wanted)]


def _compared(meter: Meter, value: Any, wanted: tuple[Any, ...]) -> list[Any]:
    """Return the items of a list that are about to be compared: each with a large value is work that nothing else counts."""
    items = _list(meter, value)
    if wanted and isinstance(wanted[0], list | dict):
        raise FilterRefused("It compares with a text or a number, not with a list or an object.")
    if wanted and isinstance(wanted[0], str):
        meter.step(len(items) * len(wanted[0]) // COMPARED_A_STEP)
    return items


def _sort(meter: Meter, value: Any, key: Any = None) -> list[Any]:
    """Numbers before texts before everything else, which keeps its order; what lacks the key comes last."""
    items = _list(meter, value)
    ranks = [_rank(item if key is None else _get(item, key)) for item in items]
    # long texts that begin alike are compared to their ends, each with about as many others
    meter.step(len(items) + sum(len(text) for _, _, text in ranks) * len(items).bit_length() // COMPARED_A_STEP)
    return [items[at] for at in sorted(range(len(items)), key=ranks.__getitem__)]


def _rank(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return 0, float(value), ""
    return (1, 0.0, value) if isinstance(value, str) else (2, 0.0, "")


def _uniq(meter: Meter, value: Any, key: Any = None) -> list[Any]:
    seen: dict[str, Any] = {}
    items = _list(meter, value)
    meter.step(3 * len(items))
    for item in items:
        seen.setdefault(as_json(item if key is None else _get(item, key), meter), item)
    return list(seen.values())


def _concat(meter: Meter, value: Any, more: Any) -> list[Any]:
    first, second = _list(meter, value), _list(meter, more)
    meter.items(len(first) + len(second))
    return [*first, *second]


def _sum(meter: Meter, value: Any, key: Any = None) -> int | float:
    return _bounded(sum(_number(item if key is None else _get(item, key)) for item in _list(meter, value)))


def _size(meter: Meter, value: Any) -> int:
    return len(value) if isinstance(value, str | list | dict) else 0


# --- numbers ----------------------------------------------------------------------------------------------------------


def _number(value: Any) -> int | float:
    """Return a value as a number, 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0
    if isinstance(value, str):
        try:
            value = float(value) if len(value) <= 30 and "_" not in value else 0
        except ValueError:
            return 0
        value = int(value) if math.isfinite(value) and value.is_integer() else value
    return _bounded(value)


def _bounded(value: int | float) -> int | float:
    if not -_BIGGEST <= value <= _BIGGEST:  # also what is not a number
        raise FilterRefused(f"Numbers go up to {_BIGGEST:,}.")
    return value


def _arithmetic(work: Callable[..., int | float]) -> Filter:
    def apply(meter: Meter, value: Any, *others: Any) -> int | float:
        try:
            return _bounded(work(_number(value), *[_number(other) for other in others]))
        except ZeroDivisionError:
            raise FilterRefused("It divides by zero.") from None

    return apply


def _divided_by(one: int | float, other: int | float) -> int | float:
    return one // other if isinstance(one, int) and isinstance(other, int) else one / other


def _round(value: int | float, digits: int | float = 0) -> int | float:
    return round(value, min(int(digits), 15)) if digits > 0 else round(value)


# --- others -----------------------------------------------------------------------------------------------------------


def _default(meter: Meter, value: Any, other: Any = "") -> Any:
    return other if value is None or value is False or value in ("", [], {}) else value


def _date(meter: Meter, value: Any, form: Any = "%Y-%m-%d %H:%M") -> str:
    """Return a time in UTC in the parts of strftime that have a fixed width; a value that is no time comes back as it is."""
    wanted = as_text(form, meter)
    if len(wanted) > _MAX_FORMAT or not set(re.findall("%(.?)", wanted, re.DOTALL)) <= _DATE_PARTS:
        raise FilterRefused(f"A date format has at most {_MAX_FORMAT} characters and takes {_shown_parts()}.")
    moment = _moment(value)
    return as_text(value, meter) if moment is None else moment.strftime(wanted)


def _shown_parts() -> str:
    return ", ".join(f"%{part}" for part in sorted(_DATE_PARTS))


def _moment(value: Any) -> dt.datetime | None:
    try:
        if isinstance(value, str) and len(value) <= 40:
            moment = dt.datetime.fromisoformat(value)
            return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return dt.datetime.fromtimestamp(value, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


FILTERS: dict[str, Filter] = {
    # texts
    "append": _append, "prepend": _prepend, "replace": _replace, "replace_first": _replace_first, "remove": _remove,
    "truncate": _truncate, "truncatewords": _truncate_words, "slice": _slice, "split": _split,
    "upcase": _text(str.upper, 3), "downcase": _text(str.lower, 3), "capitalize": _text(str.capitalize, 3),
    "strip": _text(str.strip), "lstrip": _text(str.lstrip), "rstrip": _text(str.rstrip),
    "strip_newlines": _text(lambda text: _LINE_END.sub("", text)),
    "newline_to_br": _text(lambda text: _LINE_END.sub("<br />\n", text), 7),
    "escape": _text(html.escape, 6), "url_encode": _text(_url_encode, 12), "base64_encode": _text(_base64, 6), "sha256": _text(_sha256),
    # lists
    "join": _join, "map": _map, "where": _where, "reject": _reject, "sort": _sort, "uniq": _uniq, "concat": _concat, "sum": _sum,
    "size": _size, "reverse": lambda meter, value: _list(meter, value)[::-1],
    "compact": lambda meter, value: [item for item in _list(meter, value) if item is not None],
    "first": lambda meter, value: next(iter(value), None) if isinstance(value, list) else None,
    "last": lambda meter, value: value[-1] if isinstance(value, list) and value else None,
    # numbers
    "plus": _arithmetic(lambda one, other: one + other), "minus": _arithmetic(lambda one, other: one - other),
    "times": _arithmetic(lambda one, other: one * other), "divided_by": _arithmetic(_divided_by),
    "modulo": _arithmetic(lambda one, other: one % other), "abs": _arithmetic(abs), "ceil": _arithmetic(math.ceil),
    "floor": _arithmetic(math.floor), "round": _arithmetic(_round), "at_least": _arithmetic(max), "at_most": _arithmetic(min),
    # others
    "default": _default, "date": _date, "json": lambda meter, value: as_json(value, meter),
}  # fmt: skip
