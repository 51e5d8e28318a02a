"""The catalogue of event types. Each app declares its own at start; names are lower case words joined by dots.

Operational types (`webhook.*`, `delivery.*`) speak of the portal's own deliveries. Wildcards never match them, they never go
to the webhook they are about, and their deliveries never cause further ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import jsonschema_rs

from core.errors import InvalidInput
from core.fields import JSONValue

# eight words at most: each gives a wildcard that fan-out looks up, for up to a thousand events in one statement
NAME = re.compile(r"[a-z0-9_]+(\.[A-Za-z0-9_-]+){1,7}")
MAX_NAME = 100
_MAX_ERRORS = 20
_MAX_ERROR_LENGTH = 300


@dataclass(frozen=True)
class EventType:
    """One type, or a whole family where `name` ends in `.*` (`custom.*`, `inbound.*`)."""

    name: str
    title: str
    description: str
    schema: dict[str, Any]
    example: dict[str, Any]
    strict: bool = False
    operational: bool = False
    postable: bool = False
    by_name: bool = False
    """Published only where somebody subscribed to its exact name, because another type says the same in fewer events."""
    recorded: bool = False
    """Made for one webhook, by whoever delivers it (bus.record()): nobody subscribes to it or posts it."""
    __hash__ = object.__hash__

    @property
    def family(self) -> str:
        """Return the first word of the name."""
        return self.name.split(".", 1)[0]

    @property
    def has_wildcards(self) -> bool:
        """Say whether `*` and the wildcards of its family match it."""
        return not (self.operational or self.by_name or self.recorded)

    @property
    def example_name(self) -> str:
        """Return a name that an event of this type can have: its own, or an example of its family."""
        return self.name[:-1] + "example" if self.name.endswith(".*") else self.name

    @cached_property
    def validator(self) -> jsonschema_rs.Draft202012Validator:
        """Return the compiled schema (linear-time patterns, formats checked)."""
        return jsonschema_rs.Draft202012Validator(self.schema, validate_formats=True)


@dataclass(frozen=True)
class Family:
    """What types of one first word share; called with the rest of a name, it returns that type."""

    name: str
    schema: dict[str, Any]
    example: dict[str, Any]
    strict: bool = False
    operational: bool = False
    postable: bool = False

    def __call__(self, name: str, title: str, description: str, **example: Any) -> EventType:
        """Return the type `<family>.<name>`, whose example differs from the family's by `example`."""
        return EventType(
            name=f"{self.name}.{name}",
            title=title,
            description=description,
            schema=self.schema,
            example=self.example | example,
            strict=self.strict,
            operational=self.operational,
            postable=self.postable,
        )


@dataclass
class Catalogue:
    """All declared types."""

    types: dict[str, EventType] = field(default_factory=dict)

    def register(self, types: Iterable[EventType]) -> None:
        """Add types; a name declared twice or an example that breaks its own schema stops the start."""
        for event_type in types:
            if self.types.get(event_type.name) not in (None, event_type):
                raise ValueError(f"Event type {event_type.name} is declared twice.")
            if not NAME.fullmatch(event_type.example_name) or len(event_type.example_name) > MAX_NAME:
                raise ValueError(f"Event type {event_type.name} is not made of lower case words joined by dots.")
            event_type.validator.validate(event_type.example)
            self.types[event_type.name] = event_type

    def find(self, name: str) -> EventType | None:
        """Return the type that an event of this name has, or the family it belongs to; a wildcard is no event's name."""
        if len(name) > MAX_NAME or not NAME.fullmatch(name):
            return None
        if name in self.types:
            return self.types[name]
        words = name.split(".")
        for count in range(len(words) - 1, 0, -1):
            if found := self.types.get(".".join(words[:count]) + ".*"):
                return found
        return None

    def all(self) -> list[EventType]:
        """Return every declared type, by name."""
        return sorted(self.types.values(), key=lambda event_type: event_type.name)


catalogue = Catalogue()


def patterns_for(name: str) -> list[str]:
    """Return every subscription pattern that matches the type `name`: itself and its wildcards, if it is not operational."""
    event_type = catalogue.find(name)
    if event_type is None or not event_type.has_wildcards:
        return [name]
    words = name.split(".")
    return [name, *(".".join(words[:count]) + ".*" for count in range(len(words) - 1, 0, -1)), "*"]


def check_pattern(pattern: str) -> None:
    """Raise InvalidInput unless `pattern` can match a declared type."""
    named = None if pattern == "*" or pattern.endswith(".*") else catalogue.find(pattern)
    if named is not None and named.recorded:
        raise InvalidInput.of("events", f"{pattern} is made for single webhooks; it can't be subscribed to.")
    if pattern == "*" or named is not None:
        return
    if pattern.endswith(".*"):
        stem = pattern[:-1]
        family = catalogue.find(stem + "x")
        if (family and family.has_wildcards) or any(t.name.startswith(stem) and t.has_wildcards for t in catalogue.all()):
            return
        if family or any(t.name.startswith(stem) for t in catalogue.all()):
            raise InvalidInput.of("events", f"{pattern} can't be used: these events are subscribed one by one, by their exact names.")
    raise InvalidInput.of(
        "events", f"{pattern[:MAX_NAME]!r} is not a known event type; GET /api/v1/event-types lists them.", code="unknown_event_type"
    )


def check_data(name: str, data: JSONValue, *, strict: bool = False) -> EventType:
    """Return the type of `name`; raises InvalidInput for an unknown type or data that breaks the schema of a strict one.

    With `strict`, every type is.
    """
    event_type = catalogue.find(name)
    if event_type is None:
        raise InvalidInput.of(
            "type", f"{name[:MAX_NAME]!r} is not a known event type; GET /api/v1/event-types lists them.", code="unknown_event_type"
        )
    if not isinstance(data, dict):
        raise InvalidInput.of("data", "must be a JSON object.")
    if event_type.strict or strict:
        errors = [
            f"{'.'.join(map(str, error.instance_path)) or 'data'}: {error.message}"[:_MAX_ERROR_LENGTH]
            for error in islice(event_type.validator.iter_errors(data), _MAX_ERRORS)
        ]
        if errors:
            raise InvalidInput(
                f"data does not fit the schema of {name}; GET /api/v1/event-types/{event_type.name} shows it with an example.",
                code="schema_violation",
                fields={"data": errors},
            )
    return event_type


def reference(types: Iterable[EventType]) -> str:
    """Return the catalogue as Markdown, for docs/events.md."""
    return "\n".join(_section(event_type) for event_type in types)


def _section(event_type: EventType) -> str:
    marks = [
        "posted by teams" if event_type.postable else "published by the portal",
        "data must fit the schema" if event_type.strict else "data are free beyond the schema",
        *(["operational: subscribed by exact name only"] if event_type.operational else []),
        *(["subscribed by exact name only"] if event_type.by_name else []),
        *(["made for single webhooks: nobody subscribes to it"] if event_type.recorded else []),
    ]
    schema, example = (json.dumps(value, indent=2, ensure_ascii=False) for value in (event_type.schema, event_type.example))
    return (
        f"### `{event_type.name}`\n\n{event_type.description} ({'; '.join(marks)}.)\n\n"
        f"<details><summary>Schema</summary>\n\n```json\n{schema}\n```\n\n</details>\n\n```json\n{example}\n```\n"
    )
