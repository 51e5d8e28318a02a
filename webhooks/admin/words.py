"""Retry schedules and headers as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from django.forms import ValidationError

from access.admin_base.show import duration
from core.http.custom_headers import MASK
from webhooks.retry import LONGEST_DELAY

_DELAY = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)?", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def schedule_text(schedule: Sequence[float]) -> str:
    """Return delays as they are typed: `5 s, 5 min, 2 h`."""
    return ", ".join(duration(delay) for delay in schedule)


def parse_schedule(text: str) -> list[float]:
    """Return the delays in seconds of a text such as `5 s, 5 min, 2 h`; raises ValidationError naming the wrong one."""
    delays = []
    for part in filter(None, (piece.strip() for piece in re.split(r"[,;\n]", text))):
        match = _DELAY.fullmatch(part)
        if match is None:
            raise ValidationError(f"“{part[:40]}” is not a delay; write numbers with s, min, h or d, such as: 5 s, 5 min, 2 h.")
        value = float(match[1]) * _SECONDS[(match[2] or "s")[0].lower()]
        if value > LONGEST_DELAY:
            raise ValidationError(f"“{part[:40]}” is too long; a delay lasts at most seven days.")
        delays.append(int(value) if value == int(value) else value)
    return delays


def headers_text(names: Sequence[str]) -> str:
    """Return headers as they are shown for editing: names with hidden values."""
    return "\n".join(f"{name}: {MASK}" for name in names)


def parse_headers(text: str) -> Mapping[str, str]:
    """Return the headers of a text with one `Name: value` per line; raises ValidationError naming the line."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise ValidationError(f"Line {number} has no colon; write one header per line, as Name: value.")
        if name.strip() in found:
            raise ValidationError(f"Line {number}: {name.strip()[:100]} is given twice.")
        found[name.strip()] = value.strip()
    return found
