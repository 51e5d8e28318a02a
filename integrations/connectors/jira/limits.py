"""How long a text may be for Jira, which counts as Java does: a sign beyond the Basic Multilingual Plane, such as an emoji, is two."""

from __future__ import annotations

from integrations.messages.cutting import ELLIPSIS

MAX_SUMMARY = 255
MAX_TEXT = 30_000
"""Jira takes 32,767 in a text field. Whether it counts a document's text or its JSON differs, so the JSON is kept below it."""


def units(text: str) -> int:
    """Return how long a text is for Jira."""
    return len(text) + sum(sign > "\uffff" for sign in text)


def summary(title: str) -> str:
    """Return a title within the limit of an issue's summary."""
    if units(title) <= MAX_SUMMARY:
        return title
    raw = title.encode("utf-16-le")[: 2 * (MAX_SUMMARY - 1)]
    return raw.decode("utf-16-le", "ignore").rstrip() + ELLIPSIS
