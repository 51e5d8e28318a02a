"""The facts that conditions look at: the findings of a ref that count, grouped by what can make a difference.

They are read in one statement, and checked in Python. What was read is stored beside the decision, so that another policy can be tried on
what was there then; so the same code decides, and says what would have been decided.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from scans.gates.conditions import Among, Condition
from scans.severities import WORST_FIRST, rank

MOST_GROUPS = 5000
"""More are not kept: trying policies on them would take too long."""
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Group(NamedTuple):
    """Findings that no condition can tell apart."""

    new: bool
    rank: int
    fixable: bool
    kind: str
    known_exploited: bool
    epss: float | None
    opened: int
    """When they appeared, in microseconds since 1970."""
    number: int


class _Alike(NamedTuple):
    """Findings that none of the conditions at hand tells apart."""

    new: bool
    rank: int
    fixable: bool
    kind: str
    known_exploited: bool
    epss_reaches: int
    """So many of the conditions' bounds, in their order, it reaches."""
    over_sla: bool
    days_reached: int


@dataclass(frozen=True)
class Facts:
    """What was there at a moment."""

    at: datetime
    groups: tuple[Group, ...]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many there are by severity, new ones and all."""
        every: Counter[int] = Counter()
        new: Counter[int] = Counter()
        for one in self.groups:
            every[one.rank] += one.number
            new[one.rank] += one.number if one.new else 0
        said = (("new", new), ("all", every))
        return {name: {one.value: ranks[rank(one)] for one in WORST_FIRST if ranks[rank(one)]} for name, ranks in said}

    def pack(self) -> bytes:
        """Return them to be stored."""
        return zlib.compress(orjson.dumps([microseconds(self.at), [list(one) for one in self.groups]]))

    @classmethod
    def unpack(cls, data: bytes) -> Facts:
        """Return what was stored."""
        at, groups = orjson.loads(zlib.decompress(data))
        return cls(_EPOCH + at * _MICROSECOND, tuple(Group(*one) for one in groups))


def microseconds(moment: datetime) -> int:
    """Return a moment as a whole number, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def found(conditions: Sequence[Condition], sla_days: Mapping[str, int], facts: Facts) -> list[int]:
    """Return how many findings each condition counts."""
    bounds = sorted({one.min_epss for one in conditions if one.min_epss is not None})
    starts = sorted({microseconds(one.starts) for one in conditions if one.starts})
    # by rank: what appeared before is over its time
    cuts = {rank(severity): microseconds(facts.at - days * DAY) for severity, days in sla_days.items()}
    alike: Counter[_Alike] = Counter()
    for new, severity, fixable, kind, exploited, epss, opened, number in facts.groups:
        reaches = bisect_right(bounds, epss) if epss is not None else 0
        over = severity in cuts and opened < cuts[severity]
        alike[_Alike(new, severity, fixable, kind, exploited, reaches, over, bisect_right(starts, opened))] += number
    return [sum(number for one, number in alike.items() if _counts(condition, one, bounds, starts)) for condition in conditions]


def _counts(condition: Condition, one: _Alike, bounds: Sequence[float], starts: Sequence[int]) -> bool:
    if condition.starts:
        is_meant = one.days_reached > starts.index(microseconds(condition.starts))
    else:
        is_meant = one.new or condition.among == Among.ALL
    return (
        is_meant
        and one.rank >= rank(condition.severity)
        and (one.fixable or not condition.only_fixable)
        and (not condition.kinds or one.kind in condition.kinds)
        and (one.known_exploited or not condition.known_exploited)
        and (condition.min_epss is None or one.epss_reaches > bounds.index(condition.min_epss))
        and (one.over_sla or not condition.over_sla)
    )


def group(row: Sequence[Any]) -> Group:
    """Return a group of a row of the statement."""
    new, severity, fixable, kind, exploited, epss, opened, number = row
    return Group(bool(new), severity, bool(fixable), kind, bool(exploited), epss, microseconds(opened), number)
