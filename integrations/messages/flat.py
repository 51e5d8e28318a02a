"""What CI systems are told of an event: one flat mapping of names to values, and texts in which `{name}` stands for one of them.

The values are as other systems wrote them, without control characters: whoever uses them in a shell quotes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from integrations.contract.message import SEVERITIES
from integrations.contract.outbound import OutgoingEvent
from integrations.messages.cutting import cut, line
from integrations.messages.message import message_of
from integrations.messages.reading import word

Value = str | int
_PREFIXES = {"in all": "all", "in the report": "report"}
_NO_NAME = re.compile(r"[^a-z0-9]+")
_PLACEHOLDER = re.compile(r"\{([a-z_]{1,40})\}")
_MAX_TEXT = 2_000
_WORDS = (
    "event_id", "event_type", "time", "title", "text", "result", "tone", "provider", "repository", "branch", "commit", "short_commit",
    "link", "reasons",
)  # fmt: skip
COUNTED = tuple(f"{prefix}_{name}" for prefix in ("new", "all", "report") for name in ("total", *SEVERITIES))
PLACEHOLDERS = frozenset({*_WORDS, *COUNTED})


def flat(event: OutgoingEvent) -> dict[str, Value]:
    """Return the event's message as names with values; counts are there where the event has them."""
    message, data = message_of(event), event.data
    values: dict[str, Value] = {
        "event_id": str(event.id),
        "event_type": event.type,
        "time": event.timestamp.isoformat(),
        "title": line(message.title),
        "text": line(message.text),
        "result": word(data.get("result"), 40) or word(data.get("status"), 40),
        "tone": message.tone.value,
        "provider": message.provider,
        "repository": message.repository,
        "branch": message.branch,
        "commit": message.commit,
        "short_commit": message.short_commit,
        "link": message.link,
        "reasons": cut("; ".join(line(reason) for reason in message.reasons), _MAX_TEXT),
    }
    for count in message.counts:
        prefix = _PREFIXES.get(count.label) or _NO_NAME.sub("_", count.label.lower()).strip("_")
        values[f"{prefix}_total"] = count.total
        values |= {f"{prefix}_{name}": count.by_severity.get(name, 0) for name in SEVERITIES}
    return values


def fill(text: str, values: Mapping[str, Value]) -> str:
    """Return the text with each `{name}` replaced once; what the event does not have is empty."""
    return _PLACEHOLDER.sub(lambda match: str(values.get(match[1], "")), text)


def placeholder_errors(texts: Iterable[str]) -> list[str]:
    """Return a sentence for names in braces that no event has."""
    unknown = sorted({name for text in texts for name in _PLACEHOLDER.findall(text)} - PLACEHOLDERS)
    if not unknown:
        return []
    known = ", ".join(f"{{{name}}}" for name in (*_WORDS, "new_total", "new_critical", "all_high"))
    return [f"{{{unknown[0]}}} is nothing that an event has; there are {known} and the like."]
