"""What the tests of chats share: the events whose messages are held as golden files, and all events that a limit has to hold for."""

from __future__ import annotations

from typing import Any

from integrations.contract.message import Count, FindingLine, Message, Tone
from integrations.contract.outbound import OutgoingEvent
from tests.connectors.told import AT, GOLDEN_TYPES, ID, digest, every_type, example, gate, monsters


def shown() -> dict[str, OutgoingEvent]:
    """Return the events of the golden files, by the file's name."""
    named = {type: example(type) for type in GOLDEN_TYPES}
    return {**named, "digest": digest([gate(7), *named.values()], count=40), "huge": gate(120_000, reasons=60)}


def crowd() -> list[OutgoingEvent]:
    """Return events of every type, and those that no scanner would send."""
    golden = shown()
    return [golden["digest"], golden["huge"], *every_type(), *monsters()]  # the others of the golden files are of every type, too


def bursting(text: str) -> Message:
    """Return a message of which every part is as long as it may be: no type of event fills all of them, but one may come to."""
    long, findings = text * 200, [FindingLine(text * 100, "critical", text * 60, url="https://example.com/" + "a" * 500)] * 9
    return Message(
        ID, "custom." + "x" * 90, AT, long, long * 5, Tone.CRITICAL, repository=long, branch=long, commit=text * 60,
        link="https://example.com/" + "a" * 1900, counts=(Count("new", {"high": 10**9}),) * 3, reasons=(long,) * 50,
        findings=tuple(findings), facts=((text * 60, long),) * 12, items=(long,) * 200, more_items=5,
    )  # fmt: skip


def texts(value: Any) -> list[str]:
    """Return every text in a JSON value."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in texts(part)]
