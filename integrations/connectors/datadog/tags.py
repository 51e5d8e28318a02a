"""Tags as Datadog takes them: https://docs.datadoghq.com/getting_started/tagging/#define-tags."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_TAG = 200
MAX_TAGS = 100
_OTHERS = re.compile(r"[^\w\-:./]+")


def tag(name: str, value: str) -> str:
    """Return a tag, "" where there is no value. Datadog would change other characters by itself: then it is not found as it was sent."""
    kept = re.sub("_+", "_", _OTHERS.sub("_", value.lower())).strip("_")
    return f"{name}:{kept}"[:MAX_TAG].rstrip("_") if kept else ""


def tags(pairs: Iterable[tuple[str, str]], further: Iterable[str] = ()) -> list[str]:
    """Return tags of names with values, those without a value left out, and those that were configured."""
    made = [tag(name, value) for name, value in pairs]
    return list(dict.fromkeys(one for one in [*made, *(own.lower()[:MAX_TAG] for own in further)] if one))[:MAX_TAGS]
