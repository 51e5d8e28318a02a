"""Scopes: what a key may do. `<resource>:<verb>`, where neither verb includes the other, and `all`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from core.errors import InvalidInput

READ, WRITE = "read", "write"
ALL = "all"
EVENTS_SYSTEM = "events:system"
_RESOURCES = (
    "api-keys",
    "builds",
    "deliveries",
    "destinations",
    "events",
    "findings",
    "inbound",
    "integrations",
    "policies",
    "repositories",
    "scans",
    "templates",
    "webhooks",
)
_READ_ONLY = ("audit-log", "event-types")
# `all` is everything but this one: a team's key must not be able to forge gate.passed
SCOPES: frozenset[str] = frozenset(
    [f"{resource}:{verb}" for resource in _RESOURCES for verb in (READ, WRITE)]
    + [f"{resource}:{READ}" for resource in _READ_ONLY]
    + [EVENTS_SYSTEM]
)
ALL_SCOPES = SCOPES - {EVENTS_SYSTEM}
READING_SCOPES = frozenset(scope for scope in SCOPES if scope.endswith(f":{READ}"))


def parse(scopes: Any) -> list[str]:
    """Return scopes in their stored form, sorted and without repetition; raises InvalidInput for unknown ones.

    `all` stands for every scope but events:system, so besides it only events:system is kept.
    """
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise InvalidInput.of("scopes", "must be a list of scopes.")
    if not scopes:
        raise InvalidInput.of("scopes", f"must name at least one scope, or {ALL}.")
    unknown = sorted(set(scopes) - SCOPES - {ALL})
    if unknown:
        known = ", ".join(sorted(SCOPES))
        raise InvalidInput.of("scopes", f"{', '.join(unknown)[:200]}: unknown. Known are {ALL}, {known}.", code="unknown_scope")
    if ALL in scopes:
        return [ALL, EVENTS_SYSTEM] if EVENTS_SYSTEM in scopes else [ALL]
    return sorted(set(scopes))


def granted(scopes: Iterable[str]) -> frozenset[str]:
    """Return the single scopes that stored scopes grant."""
    stored = frozenset(scopes)
    return (stored - {ALL}) | ALL_SCOPES if ALL in stored else stored & SCOPES
