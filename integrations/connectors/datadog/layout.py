"""A message as an event of Datadog's stream: https://docs.datadoghq.com/api/latest/events/post-an-event/ (v1). Pure.

The text is Markdown between %%% marks, in which an @ tells people: what others wrote is escaped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from integrations.connectors.datadog.tags import tags
from integrations.contract.message import SEVERITIES, FindingLine, Message, Tone
from integrations.messages.cutting import and_more, cut_escaped, fitting

MAX_TITLE, MAX_TEXT = 100, 4000
OLDEST = timedelta(hours=18) - timedelta(minutes=5)
_START, _END = "%%% \n", "\n %%%"
_ALERT_TYPES = {Tone.GOOD: "success", Tone.INFO: "info", Tone.WARNING: "warning", Tone.BAD: "error", Tone.CRITICAL: "error"}
_MARKS = re.compile(r"([\\`*_\[\]<>#|~])")
_FINDINGS = 5
_LONGEST_LINK = 500
_SOURCE = "repoguard"


def event(message: Message, further_tags: Sequence[str], now: datetime) -> dict[str, Any]:
    """Return the event. `now` decides whether its time is one that Datadog still takes; without one it is the time of arrival."""
    told: dict[str, Any] = {
        "title": cut_escaped(message.title, MAX_TITLE, _untold),
        "text": _text(message),
        "alert_type": _ALERT_TYPES[message.tone],
        "priority": "low" if message.tone is Tone.INFO else "normal",
        "aggregation_key": hashlib.sha256(message.alert_key.encode("utf-8", "replace")).hexdigest(),
        "source_type_name": _SOURCE,
        "tags": tags(_about(message), further_tags),
    }
    if now - OLDEST <= message.occurred_at <= now + timedelta(minutes=1):
        told["date_happened"] = int(message.occurred_at.timestamp())
    return told


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, in which no @ tells anybody and no %%% ends it."""
    return _untold(_MARKS.sub(r"\\\1", text))


def _untold(text: str) -> str:
    """Return a text without mentions and marks of Markdown: a space of no width stands behind each @, and between three %."""
    return text.replace("@", "@\u200b").replace("%%", "%\u200b%\u200b")


def _about(message: Message) -> list[tuple[str, str]]:
    worst = min((one.severity for one in message.findings), key=SEVERITIES.index, default="")
    return [
        ("repository", message.repository),
        ("branch", message.branch),
        ("provider", message.provider),
        ("event_type", message.event_type),
        ("severity", worst),
    ]


def _text(message: Message) -> str:
    link = _link("Open in RepoGuard", message.link) if message.link else ""
    room = MAX_TEXT - len(_START) - len(_END) - len(link) - 2
    blocks: list[str] = []
    for make, most in ((_said, 700), (_where, 500), (_counts, 300), (_reasons, 700), (_findings, 1700), (_items, 1200), (_facts, 400)):
        block = make(message, min(most, room))
        if block and len(block) <= room:
            blocks.append(block)
            room -= len(block) + 2
    return _START + "\n\n".join([*blocks, *([link] if link else [])]) + _END


def _said(message: Message, room: int) -> str:
    return cut_escaped(message.text, room, escaped)


def _where(message: Message, room: int) -> str:
    named = (("Repository", message.repository), ("branch", message.branch), ("commit", message.short_commit))
    return cut_escaped(", ".join(f"{name} {value}" for name, value in named if value), room, escaped)


def _counts(message: Message, room: int) -> str:
    return cut_escaped("; ".join(one.words() for one in message.counts), room, escaped)


def _reasons(message: Message, room: int) -> str:
    return _lines([f"- {cut_escaped(one, 200, escaped)}" for one in message.reasons], 0, room)


def _findings(message: Message, room: int) -> str:
    shown = [f"- {_finding(one)}" for one in message.findings[:_FINDINGS]]
    return _lines(shown, len(message.findings) - len(shown) + message.more_findings, room)


def _finding(one: FindingLine) -> str:
    title = cut_escaped(one.title, 150, escaped)
    beside = cut_escaped(one.where, 100, escaped)
    linked = _link(title, one.url) if one.url else title
    return f"**{one.severity}** {linked}" + (f" – {beside}" if beside else "") + (" (known to be exploited)" if one.known_exploited else "")


def _items(message: Message, room: int) -> str:
    return _lines([f"- {cut_escaped(one, 200, escaped)}" for one in message.items], message.more_items, room)


def _facts(message: Message, room: int) -> str:
    return cut_escaped("; ".join(f"{name}: {value}" for name, value in message.facts), room, escaped)


def _lines(lines: list[str], more: int, room: int) -> str:
    kept, left = fitting(lines, room, lambda one: len(one) + 1, reserve=30)
    rest = and_more(left + more)
    return "\n".join([*kept, *([f"- {rest}"] if rest and kept else [])])


def _link(title: str, url: str) -> str:
    """Return a link; one whose address is too long to leave room for anything else is left out."""
    address = url.replace("(", "%28").replace(")", "%29").replace("@", "%40").replace("%%", "%25%")
    return f"[{title}]({address})" if len(address) <= _LONGEST_LINK else title
