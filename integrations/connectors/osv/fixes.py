"""Which version mends a flaw, by the events of OSV's ranges: https://ossf.github.io/osv-schema/#evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any

from integrations.connectors.osv.records import Record, affecting
from integrations.contract.payloads import objects, text
from integrations.packages.ecosystems import ecosystem as type_of
from integrations.packages.versions import compare

_MOST_EVENTS = 500
_BEGINNING = "0"
_KINDS = ("introduced", "fixed", "last_affected", "limit")
Event = tuple[str, str]
"""(one of _KINDS, version)"""


@dataclass(frozen=True)
class Mended:
    """What ends a flaw for a version that is used; empty where nothing does, or it can't be told."""

    fixed: str = ""
    within: str = ""
    """The range around the version, such as `>=2.0.0, <2.0.7`."""


def mended(records: Iterable[Record], ecosystem: str, name: str, version: str) -> Mended:
    """Return the smallest fixed version above `version` that is in no range of its record; of the first record that knows one."""
    known = [_by(record, ecosystem, name, version) for record in records]
    fixed = next((one for one in known if one.fixed), None)
    return fixed or next((one for one in known if one.within), Mended())


def _by(record: Record, ecosystem: str, name: str, version: str) -> Mended:
    kind = type_of(ecosystem)[0]
    ranges = [events for part in affecting(record, ecosystem, name) for one in objects(part.get("ranges")) if (events := _events(one))]
    fixes = {fix for events in ranges for what, fix in events if what == "fixed"}
    if compare(kind, version, version) is None:  # nothing is above what can't be compared
        return Mended(fixes.pop() if len(fixes) == 1 else "")
    above = [fix for fix in fixes if (compare(kind, fix, version) or 0) > 0]
    ordered = [_ordered(kind, events) for events in ranges]
    around = next((events for events in ordered if _holds(kind, version, events)), [])
    clean = (fix for fix in _sorted(kind, above) if not any(_holds(kind, fix, events) for events in ordered))
    return Mended(next(clean, ""), _within(kind, version, around))


def _events(one: Mapping[str, Any]) -> list[Event]:
    if one.get("type") == "GIT":  # commits, which have no order of their own
        return []
    return [(what, found) for event in objects(one.get("events"))[:_MOST_EVENTS] for what in _KINDS if (found := text(event.get(what)))]


def _ordered(kind: str, events: list[Event]) -> list[Event]:
    """Return events by version: databases write them in any order. What can't be compared is left out."""
    readable = [one for one in events if one[1] == _BEGINNING or compare(kind, one[1], one[1]) is not None]
    key = cmp_to_key(lambda one, other: _order(kind, str(one), str(other)))
    return sorted(readable, key=lambda event: key(event[1]))


def _sorted(kind: str, versions: Iterable[str]) -> list[str]:
    return sorted(sorted(versions), key=cmp_to_key(lambda one, other: _order(kind, str(one), str(other))))


def _order(kind: str, one: str, other: str) -> int:
    if _BEGINNING in (one, other):
        return int(other == _BEGINNING) - int(one == _BEGINNING) if one != other else 0
    return compare(kind, one, other) or 0


def _holds(kind: str, version: str, events: list[Event]) -> bool:
    """Say whether a version is affected by a range whose events are ordered."""
    affected = False
    for what, bound in events:
        order = _order(kind, version, bound)
        if what == "introduced":
            affected = affected or order >= 0
        elif affected and (order > 0 or (order == 0 and what != "last_affected")):
            affected = False
    return affected


def _within(kind: str, version: str, events: list[Event]) -> str:
    """Return the part of a range that a version lies in, as text."""
    low, high = "", ""
    for what, bound in events:
        order = _order(kind, version, bound)
        if what == "introduced" and order >= 0:
            low = "" if bound == _BEGINNING else f">={bound}"
        elif what == "last_affected" and order <= 0:
            high = high or f"<={bound}"
        elif what != "introduced" and order < 0:
            high = high or f"<{bound}"
    return ", ".join(filter(None, (low, high)))
