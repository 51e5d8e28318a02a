"""The event types of forms."""

from __future__ import annotations

from typing import Any

from core.event_types import catalogue


def event_choices() -> list[Any]:
    """Return the catalogue by family, each with its wildcard; operational types have none."""
    groups: dict[str, list[tuple[str, str]]] = {"everything": [("*", "all events but operational ones")]}
    for event_type in catalogue.all():
        if event_type.recorded:
            continue
        entries = groups.setdefault(event_type.family, [])
        if event_type.has_wildcards and not entries:
            entries.append((f"{event_type.family}.*", f"all {event_type.family} events"))
        if not event_type.name.endswith(".*"):
            entries.append((event_type.name, event_type.title))
    return list(groups.items())
