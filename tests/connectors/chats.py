"""What the tests of chats share: the events whose messages are held as golden files, and all events that a limit has to hold for."""

from __future__ import annotations

from typing import Any

from integrations.contract.outbound import OutgoingEvent
from tests.connectors.told import GOLDEN_TYPES, digest, every_type, example, gate, monsters


def shown() -> dict[str, OutgoingEvent]:
    """Return the events of the golden files, by the file's name."""
    named = {type: example(type) for type in GOLDEN_TYPES}
    return {**named, "digest": digest([gate(7), *named.values()], count=40), "huge": gate(120_000, reasons=60)}


def crowd() -> list[OutgoingEvent]:
    """Return events of every type, and those that no scanner would send."""
    return [*shown().values(), *every_type(), *monsters()]


def texts(value: Any) -> list[str]:
    """Return every text in a JSON value."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in texts(part)]
