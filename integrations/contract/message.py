"""The one message that chat, e-mail, alerting and tickets show of an event. `integrations.messages` makes it; platforms lay it out."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

SEVERITIES = ("critical", "high", "medium", "low", "info", "unknown")
"""Worst first."""
_FULL_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Tone(StrEnum):
    """How it is to be taken; platforms choose colour, severity or priority by it."""

    GOOD = "good"
    INFO = "info"
    WARNING = "warning"
    BAD = "bad"
    CRITICAL = "critical"


class Standing(StrEnum):
    """What it says about its subject, for platforms that keep alerts or tickets open until they are resolved."""

    OPEN = "open"
    RESOLVED = "resolved"
    NONE = ""


@dataclass(frozen=True)
class FindingLine:
    """A finding as a message names it."""

    title: str
    severity: str
    where: str = ""
    """`lodash 4.17.15` or `src/app.py:12`."""
    identifiers: tuple[str, ...] = ()
    url: str = ""
    finding_id: str = ""
    rule: str = ""
    package: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    line: int | None = None
    known_exploited: bool = False
    cvss: float | None = None
    fixed_version: str = ""
    condition: str = ""
    """The gate's condition that it breaks."""


@dataclass(frozen=True)
class Count:
    """How many findings, by severity: `label` is such as new or all."""

    label: str
    by_severity: Mapping[str, int]

    @property
    def total(self) -> int:
        """Return their sum."""
        return sum(self.by_severity.values())

    def words(self) -> str:
        """Return such as `3 new: 1 critical, 2 high`, or `0 new`."""
        parts = [f"{self.by_severity[name]:,} {name}" for name in SEVERITIES if self.by_severity.get(name)]
        return f"{self.total:,} {self.label}" + (f": {', '.join(parts)}" if parts else "")


@dataclass(frozen=True)
class Message:
    """What an event tells people. Texts are as other systems wrote them, without control characters; each platform escapes and cuts them.

    Addresses (`link`, `url` of findings) are http(s) or "".
    """

    event_id: uuid.UUID
    event_type: str
    occurred_at: datetime
    title: str
    """One line, such as `Gate failed: acme/shop`."""
    text: str = ""
    """One sentence more."""
    tone: Tone = Tone.INFO
    standing: Standing = Standing.NONE
    subject: str = ""
    """What it is about, the same for everything said of it: key of alerts, tickets, digests. Never empty where `standing` is given."""
    repository: str = ""
    provider: str = ""
    branch: str = ""
    commit: str = ""
    link: str = ""
    counts: tuple[Count, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why a gate failed."""
    findings: tuple[FindingLine, ...] = ()
    more_findings: int = 0
    """How many there are beside those named."""
    facts: tuple[tuple[str, str], ...] = ()
    """Names with values: workflow, duration, integration."""
    items: tuple[str, ...] = ()
    """Of a digest: a line for each event."""
    more_items: int = 0

    @property
    def alert_key(self) -> str:
        """Return what an alert is known by: its subject, for a finding on its branch, since it may be fixed on one and open on another."""
        return f"{self.subject}@{self.branch}" if self.subject.startswith("finding:") else self.subject

    @property
    def short_commit(self) -> str:
        """Return the commit as people write it."""
        return self.commit[:12]

    @property
    def full_commit(self) -> str:
        """Return the commit as platforms take it, in full and small letters: SHA-1 or SHA-256; "" where the event names none in full."""
        found = self.commit.lower()
        return found if _FULL_COMMIT.fullmatch(found) else ""
