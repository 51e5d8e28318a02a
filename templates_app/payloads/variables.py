"""What payload templates can name: the event, its data, and the message that people would get of it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from core.event_links import event_link
from core.event_types import EventType
from core.times import utc_text
from integrations.contract.message import Count, FindingLine, Message, Standing, Tone
from integrations.contract.outbound import OutgoingEvent
from integrations.messages.message import message_of

EVENT, DATA, MESSAGE = "event", "data", "message"
ROOTS = (EVENT, DATA, MESSAGE)
_EXAMPLE_ID = uuid.UUID("0192f0c1-2b3c-7d4e-8f50-61728394a5b6")
_EXAMPLE_TIME = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
_DEEPEST = 6
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
RESERVED = frozenset(
    {"true", "false", "nil", "null", "empty", "blank", "and", "or", "contains", "not", "in", "offset", "limit", "reversed", "cols"}
    | {"continue", "with", "for", "as", "if", "else", "required"}
)
"""Words of the language, which can't follow a dot."""


@dataclass(frozen=True)
class Variable:
    """One that templates of a type can name; `[]` stands for an entry of a list. The example is a JSON value."""

    name: str
    type: str
    description: str
    example: Any


def values_of(event: OutgoingEvent, roots: Collection[str] = ROOTS) -> dict[str, Any]:
    """Return the values of those roots that a template uses, as plain JSON."""
    found: dict[str, Any] = {}
    if EVENT in roots:
        found[EVENT] = {"id": str(event.id), "type": event.type, "timestamp": utc_text(event.timestamp), "link": event.link}
    if DATA in roots:
        found[DATA] = event.data
    if MESSAGE in roots:
        found[MESSAGE] = message_values(message_of(event))
    return found


def message_values(message: Message) -> dict[str, Any]:
    """Return a message as plain JSON."""
    return {
        "title": message.title,
        "text": message.text,
        "tone": message.tone.value,
        "standing": message.standing.value,
        "subject": message.subject,
        "repository": message.repository,
        "provider": message.provider,
        "branch": message.branch,
        "commit": message.commit,
        "short_commit": message.short_commit,
        "link": message.link,
        "counts": [
            {"label": count.label, "total": count.total, "words": count.words(), "by_severity": dict(count.by_severity)}
            for count in message.counts
        ],
        "reasons": list(message.reasons),
        "findings": [_finding(line) for line in message.findings],
        "more_findings": message.more_findings,
        "facts": [{"name": name, "value": value} for name, value in message.facts],
        "items": list(message.items),
        "more_items": message.more_items,
    }


def _finding(line: FindingLine) -> dict[str, Any]:
    return asdict(line) | {"identifiers": list(line.identifiers), "package": dict(line.package)}


def example_event(event_type: EventType, data: Mapping[str, Any] | None = None) -> OutgoingEvent:
    """Return an event of a type with its example, or other data."""
    shown = event_type.example if data is None else data
    link = event_link(_EXAMPLE_ID)
    return OutgoingEvent(_EXAMPLE_ID, event_type.example_name, _EXAMPLE_TIME, shown, b"", link=link, delivery_id=_EXAMPLE_ID)


def variables(event_type: EventType) -> list[Variable]:
    """Return what templates of events of a type can name, each with an example."""
    values = values_of(example_event(event_type))
    described = {**_EVENT_TEXTS, **_MESSAGE_TEXTS, **dict(_schema_texts(DATA, event_type.schema))}
    merged = {**values, MESSAGE: _with_shape(values[MESSAGE], SHAPE[MESSAGE])}
    return [Variable(name, _type(value), described.get(name, ""), value) for name, value in _leaves(merged, "")]


def written(path: str, name: str) -> str:
    """Return a path with one name more, as templates write it: words of the language and odd names in brackets."""
    if name in RESERVED or not _NAME.fullmatch(name):
        return f'{path}["{name}"]'
    return f"{path}.{name}" if path else name


def _leaves(value: Any, path: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value and depth < _DEEPEST:
        for name, item in value.items():
            yield from _leaves(item, written(path, str(name)), depth + 1)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping) and depth < _DEEPEST:
        yield from _leaves(value[0], f"{path}[]", depth + 1)
    else:
        yield path, value


def _with_shape(value: Any, shape: Any) -> Any:
    """Return a value whose empty lists hold an entry of the shape, so that its parts are named."""
    if isinstance(value, Mapping):
        return {name: _with_shape(item, shape.get(name)) if isinstance(shape, Mapping) else item for name, item in value.items()}
    return shape if isinstance(value, list) and not value and isinstance(shape, list) else value


def _type(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object", type(None): "null"}
    return names.get(type(value), "object")


def _schema_texts(path: str, schema: Any) -> Iterator[tuple[str, str]]:
    for name, below in (schema.get("properties") or {}).items() if isinstance(schema, Mapping) else ():
        if isinstance(below, Mapping):
            if text := below.get("description") or below.get("title"):
                yield f"{path}.{name}", str(text)
            yield from _schema_texts(f"{path}.{name}", below)
            yield from _schema_texts(f"{path}.{name}[]", below.get("items"))


_PACKAGE = {"ecosystem": "npm", "name": "lodash", "version": "4.17.15"}
_FULL = Message(
    event_id=_EXAMPLE_ID, event_type="gate.failed", occurred_at=_EXAMPLE_TIME, title="Gate failed: acme/shop", tone=Tone.BAD,
    standing=Standing.OPEN, counts=(Count("new", {"high": 2}),), reasons=("2 new high findings; 0 are allowed.",),
    findings=(FindingLine("Prototype pollution in lodash", "high", "lodash 4.17.15", package=_PACKAGE),),
    facts=(("Workflow", "ci"),), items=("Gate failed: acme/shop",),
)  # fmt: skip
SHAPE: dict[str, Any] = {
    EVENT: {"id": "", "type": "", "timestamp": "", "link": ""},
    MESSAGE: message_values(_FULL),
}
"""What event and message hold, whatever the type."""
FREE = ("message.findings.package", "message.counts.by_severity")
"""Objects with names of other systems."""

_EVENT_TEXTS = {
    "event.id": "The same on each try.",
    "event.type": "Such as finding.opened.",
    "event.timestamp": "When it happened: UTC, ISO 8601.",
    "event.link": "Page of the portal about it.",
}
_MESSAGE_TEXTS = {
    "message.title": "One line: what happened.",
    "message.text": "One sentence more, or nothing.",
    "message.tone": "good, info, warning, bad or critical.",
    "message.standing": "open or resolved, for what keeps tickets and alerts; nothing where neither is said.",
    "message.subject": "What it is about: the same for everything said of it.",
    "message.link": "Where to look: the build, the finding, or the portal's page.",
    "message.counts[].label": "Such as new or all.",
    "message.counts[].words": "Such as 3 new: 1 critical, 2 high.",
    "message.reasons": "Why a gate failed.",
    "message.findings[].where": "Package with version, or file with line.",
    "message.more_findings": "How many there are beside those named.",
    "message.items": "Of a digest: a line for each event.",
    "message.more_items": "How many there are beside those.",
}
