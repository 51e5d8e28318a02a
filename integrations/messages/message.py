"""From an event to the message that people get. One builder for each family of events; unknown ones are told by what they hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from integrations.contract.message import Message, Standing, Tone
from integrations.contract.outbound import OutgoingEvent
from integrations.messages import builds, digests, findings, gates, others
from integrations.messages.reading import branch_of, commit_of, mapping, repository_of, web_address, word

_BUILDERS: Mapping[str, Callable[[Message, Mapping[str, Any]], Message]] = {
    "gate": gates.tell,
    "scan": findings.tell_scan,
    "finding": findings.tell_finding,
    "build": builds.tell_build,
    "analysis": builds.tell_analysis,
    "repository": others.tell_repository,
    "pull_request": others.tell_pull_request,
    "integration": others.tell_integration,
    "webhook": others.tell_operation,
    "delivery": others.tell_operation,
    "inbound": others.tell_operation,
}
_CLAIMED = "claimed:"
"""Before the subject of an event that names a repository to which it does not belong: it opens and settles only what such events opened."""


def message_of(event: OutgoingEvent) -> Message:
    """Return what an event tells people. Never fails: data that is not as its type says is as good as absent."""
    data = mapping(event.data)
    head = Message(
        event_id=event.id,
        event_type=event.type,
        occurred_at=event.timestamp,
        title=event.type,
        repository=repository_of(data),
        provider=word(data.get("provider"), 40),
        branch=branch_of(data),
        commit=commit_of(data),
        link=web_address(data.get("url")) or web_address(event.link),
    )
    if event.type == digests.DIGEST_TYPE:
        return digests.tell(head, data, message_of)
    told = _BUILDERS.get(event.type.split(".", 1)[0], others.tell_other)(head, data)
    if told.standing is not Standing.NONE and not told.subject:
        return replace(told, standing=Standing.NONE)
    return told if _belongs(event, told) else replace(told, subject=f"{_CLAIMED}{told.subject}")


def _belongs(event: OutgoingEvent, told: Message) -> bool:
    """Say whether what an event speaks of is its own: an event may name any repository, and must not settle another one's alerts."""
    return not told.subject or not told.repository or event.about.partition(":")[2].lower() == told.repository.lower()


__all__ = ["Message", "Standing", "Tone", "message_of"]
