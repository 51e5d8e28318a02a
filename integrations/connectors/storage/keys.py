"""What objects are called: the same event always the same, and no event outside of its place. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from integrations.connectors.storage.fields import PLACES
from integrations.contract.outbound import OutgoingEvent

_PLACE = re.compile(r"\{([^{}]*)\}")
_OTHER = re.compile(r"[^A-Za-z0-9._=-]+")
_LONGEST_PART = 100
_NONE = "none"


def template_errors(template: str) -> list[str]:
    """Return what is wrong with a template of names."""
    unknown = [name for name in _PLACE.findall(template) if name not in PLACES]
    if unknown or "{" in _PLACE.sub("", template) or "}" in _PLACE.sub("", template):
        return [
            f"holds {{{unknown[0][:40] if unknown else ''}}}, which stands for nothing; use {', '.join(f'{{{name}}}' for name in PLACES)}."
        ]
    if "{id}" not in template:
        return ["must hold {id}: without it events would overwrite each other."]
    if any(part.strip(".") == "" for part in template.split("/")):
        return ["has an empty part, or one of dots alone; write it like events/{date}/{id}.json."]
    return []


def key_of(event: OutgoingEvent, template: str, prefix: str = "") -> str:
    """Return the name of an event's object."""
    at = event.timestamp.astimezone(UTC)
    values = {
        "year": f"{at:%Y}", "month": f"{at:%m}", "day": f"{at:%d}", "date": f"{at:%Y-%m-%d}", "type": event.type,
        "repository": repository_of(event.data), "id": str(event.id),
    }  # fmt: skip
    return under(prefix, _PLACE.sub(lambda match: values[match[1]], template))


def under(prefix: str, name: str) -> str:
    """Return a name below a prefix, made of parts that mean nothing to any system."""
    parts = [clean(part) for part in (*prefix.split("/"), *name.split("/")) if part]
    return "/".join(part for part in parts if part)


def clean(part: str) -> str:
    """Return one part of a name in characters that every store takes; never one of dots alone."""
    kept = _OTHER.sub("-", part)[:_LONGEST_PART]
    return kept if kept.strip(".") else _NONE


def repository_of(data: Mapping[str, Any]) -> str:
    """Return the repository's name in an event's data, or what stands for having none."""
    found = data.get("repository")
    if isinstance(found, Mapping):
        found = found.get("full_name")
    if not isinstance(found, str) or not found.strip("/"):
        return _NONE
    # deeper groups (GitLab) are kept, at most as many as names of files allow
    return "/".join(clean(part) for part in found.split("/")[:6] if part)
