"""The message of a digest: many events told at once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from integrations.contract.message import SEVERITIES, Count, Message, Tone
from integrations.contract.outbound import OutgoingEvent
from integrations.messages.reading import Data, amount, mapping, plural, word

DIGEST_TYPE = "notification.digest"
"""Data: `count`, and `events`, a list of {id, type, timestamp, data} in the order in which they were published."""
_TOLD = 200
_FINDINGS = 5
_TONES = [Tone.CRITICAL, Tone.BAD, Tone.WARNING, Tone.GOOD, Tone.INFO]


def tell(head: Message, data: Data, message_of: Callable[[OutgoingEvent], Message]) -> Message:
    """Say how many events there were, a line for each, and the worst findings of all."""
    listed = data.get("events")
    events = [mapping(one) for one in (listed if isinstance(listed, list) else [])]
    told = [message_of(found) for one in events[:_TOLD] if (found := _event(one, head)) is not None]
    many = max(amount(data.get("count")), len(events))
    repositories = sorted({one.repository for one in told if one.repository})
    about = repositories[0] if len(repositories) == 1 else plural(len(repositories), "repository", "repositories") if repositories else ""
    branches = {one.branch for one in told}
    commits = {one.commit for one in told}
    findings = sorted((line for one in told for line in one.findings), key=lambda line: SEVERITIES.index(line.severity))
    distinct = list({(line.finding_id or line.title, line.where): line for line in findings}.values())
    named = tuple(distinct[:_FINDINGS])
    return replace(
        head,
        title=f"{plural(many, 'event')}{f': {about}' if about else ''}",
        tone=min((one.tone for one in told), key=_TONES.index, default=Tone.INFO),
        subject=f"digest:{word(data.get('key'), 300)}",
        repository=repositories[0] if len(repositories) == 1 else "",
        branch=branches.pop() if len(branches) == 1 else "",
        commit=commits.pop() if len(commits) == 1 else "",
        counts=_summed(told),
        reasons=tuple(dict.fromkeys(reason for one in told for reason in one.reasons)),
        findings=named,
        more_findings=len(distinct) - len(named) + max((one.more_findings for one in told), default=0),
        items=tuple(one.title for one in told),
        more_items=max(many - len(told), 0),
    )


def _event(one: Mapping[str, Any], head: Message) -> OutgoingEvent | None:
    kind, data = one.get("type"), one.get("data")
    if not isinstance(kind, str) or kind == DIGEST_TYPE or not isinstance(data, Mapping):
        return None
    try:
        id, at = uuid.UUID(str(one.get("id"))), datetime.fromisoformat(str(one.get("timestamp")))
    except ValueError:
        id, at = head.event_id, head.occurred_at
    return OutgoingEvent(id=id, type=kind, timestamp=at, data=data, body=b"")


def _summed(told: list[Message]) -> tuple[Count, ...]:
    """Return the new findings of all events together; how many there are in all can't be summed over scans."""
    new: dict[str, int] = {}
    for one in told:
        if one.event_type in ("finding.opened", "finding.opened.single"):
            counted = one.counts[0].by_severity if one.counts else {one.findings[0].severity: 1} if one.findings else {}
            for severity, number in counted.items():
                new[severity] = new.get(severity, 0) + number
    return (Count("new", {name: new[name] for name in SEVERITIES if name in new}),) if new else ()
