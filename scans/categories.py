"""The categories of pulled scans name their integration, so that no two integrations, nor an upload, ever close each other's findings."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence

from integrations.models import Integration
from scans.models import Presence

MARK = "integration:"
"""What the category of an integration's reports begins with."""
_OWN = re.compile(rf"{MARK}([0-9a-f]{{32}})(?:/|$)")


def prefix_of(integration_id: uuid.UUID) -> str:
    """Return what stands before the categories of an integration's scans."""
    return f"{MARK}{integration_id.hex}/"


def integration_of(category: str) -> uuid.UUID | None:
    """Return the integration that a category names, None for that of an upload."""
    found = _OWN.match(category)
    return uuid.UUID(found[1]) if found else None


def shown_category(category: str) -> str:
    """Return the category as its source names it."""
    return _OWN.sub("", category, count=1)


def name_integrations(presences: Sequence[Presence]) -> None:
    """Put on each presence, loaded with its stream, the `integration_name` that it was read from, or None, and the `shown_category`.

    One statement at most.
    """
    names = integration_names([presence.stream.category for presence in presences])
    for presence in presences:
        presence.integration_name = names[presence.stream.category]  # type: ignore[attr-defined]
        presence.shown_category = shown_category(presence.stream.category)  # type: ignore[attr-defined]


def integration_names(categories: Iterable[str]) -> dict[str, str | None]:
    """Return by category the name of the integration that it is of, None for that of an upload. One statement at most."""
    ids = {category: integration_of(category) for category in categories}
    wanted = {id for id in ids.values() if id}
    names = dict(Integration.stored.filter(id__in=wanted).values_list("id", "name")) if wanted else {}
    return {category: names.get(id, "an integration that was deleted") if id else None for category, id in ids.items()}
