"""What PagerDuty is told of a message: an alert that opens or closes, or a change. Pure; its limits are kept by cutting.

https://developer.pagerduty.com/docs/events-api-v2-overview. All texts are plain there.
"""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import Any

from integrations.contract.message import FindingLine, Message, Standing, Tone
from integrations.messages.cutting import and_more, cut, fitting

MAX_BYTES = 512 * 1024
MAX_SUMMARY, MAX_KEY, MAX_WORD = 1024, 255, 255
SEVERITIES = ("info", "warning", "error", "critical")
"""Least first."""
_BY_TONE = {Tone.GOOD: "info", Tone.INFO: "info", Tone.WARNING: "warning", Tone.BAD: "error", Tone.CRITICAL: "critical"}
_NAMED, _REASONS, _ITEMS, _FACTS = 5, 10, 20, 20
_LONG, _LINE = 2_000, 700
_CLIENT = "RepoGuard"

Payload = dict[str, Any]


def severity_of(message: Message) -> str:
    """Return PagerDuty's word for how bad it is."""
    return _BY_TONE[message.tone]


def dedup_key(subject: str) -> str:
    """Return the key of the alert about a subject: the same for what opens and what resolves it, whatever the subject's length."""
    return f"repoguard:{hashlib.sha256(subject.encode('utf-8', 'replace')).hexdigest()}"


def alert(message: Message, key: str) -> Payload:
    """Return what opens the alert of a key, or brings it up to date."""
    told: Payload = {
        "event_action": "trigger",
        "dedup_key": key,
        "payload": _payload(message) | _where(message) | {"severity": severity_of(message), "class": cut(message.event_type, MAX_WORD)},
        "client": _CLIENT,
        "links": _links(message),
    }
    return told | ({"client_url": message.link} if message.link else {})


def resolution(message: Message) -> Payload:
    """Return what resolves the alert about the message's subject."""
    return {"event_action": "resolve", "dedup_key": dedup_key(message.alert_key)}


def change(message: Message) -> Payload:
    """Return a change event: it pages nobody, and stands beside the incidents of its service."""
    return {"payload": _payload(message), "links": _links(message)}


def is_open(message: Message) -> bool:
    """Say whether something is wrong that will be said to be resolved."""
    return message.standing is Standing.OPEN


def _payload(message: Message) -> Payload:
    return {
        "summary": _summary(message),
        "source": cut(message.repository, MAX_WORD) or _CLIENT,
        "timestamp": message.occurred_at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "custom_details": _details(message),
    }


def _where(message: Message) -> Payload:
    found = {"component": message.branch, "group": message.provider}
    return {name: cut(value, MAX_WORD) for name, value in found.items() if value}


def _summary(message: Message) -> str:
    """Return one line; it is what a pager or a voice reads out, so the title comes first and stays whole if it can."""
    beside = [message.branch, *(one.words() for one in message.counts if one.total)]
    more = "; ".join(part for part in beside if part)
    return cut(f"{message.title} ({more})" if more else message.title, MAX_SUMMARY)


def _details(message: Message) -> Payload:
    texts = {"text": message.text, "repository": message.repository, "branch": message.branch, "commit": message.commit}
    details: Payload = {cut(name, MAX_WORD): cut(value, _LINE) for name, value in message.facts[:_FACTS]}
    details |= {name: cut(value, _LONG) for name, value in texts.items() if value}
    if message.counts:
        details["counts"] = [one.words() for one in message.counts]
    lists = (
        ("reasons", [cut(one, _LINE) for one in message.reasons], _REASONS, 0),
        ("findings", [_finding(one) for one in message.findings], _NAMED, message.more_findings),
        ("events", [cut(one, _LINE) for one in message.items], _ITEMS, message.more_items),
    )
    return details | {name: _listed(lines, most, more) for name, lines, most, more in lists if lines}


def _listed(lines: list[str], most: int, more: int) -> list[str]:
    shown, left = fitting(lines, most, lambda _: 1)
    rest = and_more(left + more)
    return [*shown, rest] if rest else shown


def _finding(one: FindingLine) -> str:
    beside = [one.where, one.condition, "known to be exploited" if one.known_exploited else ""]
    return cut(f"{one.severity}: {one.title}" + "".join(f" – {part}" for part in beside if part), _LINE)


def _links(message: Message) -> list[dict[str, str]]:
    links = [{"href": message.link, "text": "Open in RepoGuard"}] if message.link else []
    named = [{"href": one.url, "text": cut(one.title, MAX_WORD)} for one in message.findings[:_NAMED] if one.url]
    return links + [one for one in named if one["href"] != message.link]
