"""Reading what GitHub sends: whatever a field holds, nothing here raises."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from integrations.contract import payloads


def part(value: Any, *names: str) -> Mapping[str, Any]:
    """Return the object at a path of names, an empty one where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def text(value: Mapping[str, Any], name: str) -> str:
    """Return a text, "" where there is none."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def number(value: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number that is not negative, or None."""
    found = value.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


def moment(value: Mapping[str, Any], name: str) -> datetime | None:
    """Return a time in UTC, from RFC 3339 or Unix seconds (pushes have both), or None."""
    return payloads.moment(value.get(name))
