"""The last step of writing: what is open, fixed and new once all rows of a report are stored."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from integrations.models import Repository
from scans.choices import FindingState, Triage
from scans.ingest.merging import MERGED, merge
from scans.ingest.told import Told
from scans.models import Finding, Presence, Scan

_AT_ONCE = 1000
_STATE = ("state", "opened_at", "fixed_at", "updated_at")


@dataclass
class Written:
    """What a report changed."""

    total: int = 0
    new: Told = field(default_factory=Told)
    """Findings that the ref did not have before."""
    reopened: Told = field(default_factory=Told)
    fixed: Told = field(default_factory=Told)
    by_severity: Counter[str] = field(default_factory=Counter)
    tools: list[str] = field(default_factory=list)
    """The scanners that it speaks for, sorted."""
    sections: int = 0


class Settlement:
    """Decides it for one scan, in the transaction that makes the scan visible."""

    def __init__(self, scan: Scan, repository: Repository, now: datetime) -> None:
        self._scan, self._default, self._now = scan, repository.default_branch, now
        self._is_default = scan.ref == repository.default_branch
        self._created: Collection[uuid.UUID] = ()
        self.written = Written()

    def show(self, created: Mapping[uuid.UUID, tuple[str, bool]], touched: Collection[uuid.UUID]) -> None:
        """Show the findings that nobody reported before: on SQLite they were staged till now, some perhaps by a worker that was killed."""
        staged = Finding.objects.filter(first_scan_id=self._scan.id, state=FindingState.STAGED)
        if connection.vendor != "postgresql":
            created = {id: (severity, not suppressed) for id, severity, suppressed in staged.values_list("id", "severity", "suppressed")}
            if created:
                staged.update(state=FindingState.OPEN if self._is_default else FindingState.BRANCH)
        self._created = created.keys() & touched  # a source of another stream speaks for these, too
        for id, (severity, counts) in created.items():
            if id not in self._created:
                self.written.new.add(id, severity, counts=counts)

    def settle(self, touched: Collection[uuid.UUID], closed: Collection[uuid.UUID]) -> None:
        """Merge the sources of findings that changed, and decide whether they are there; only rows that differ are written."""
        ids = sorted({*touched, *closed})
        for start in range(0, len(ids), _AT_ONCE):
            self._settle(ids[start : start + _AT_ONCE], set(closed))

    def _settle(self, ids: list[uuid.UUID], closed: set[uuid.UUID]) -> None:
        findings = Finding.objects.filter(id__in=ids).order_by("id").in_bulk()
        presences = open_presences(ids)
        merged, moved = [], []
        for id, finding in findings.items():
            there = presences[id]
            differs = merge(finding, there, self._default)
            self._count(finding, there, closed)
            if self._move(finding, there):
                moved.append(finding)
            elif differs:
                finding.updated_at = self._now
            if differs:
                merged.append(finding)
        write(merged, moved)

    def _count(self, finding: Finding, there: list[Presence], closed: set[uuid.UUID]) -> None:
        here = [one for one in there if one.stream.ref == self._scan.ref]
        counts = finding.triage == Triage.NONE and not finding.suppressed
        if not here:
            if finding.id in closed:
                self.written.fixed.add(finding.id, finding.severity, counts=counts)
        elif (
            finding.id in self._created
            or finding.state == FindingState.STAGED
            or (all(one.first_scan_id == self._scan.id for one in here) and finding.first_scan_id != self._scan.id)
        ):
            self.written.new.add(finding.id, finding.severity, counts=counts)
            if finding.state == FindingState.FIXED and self._is_default:
                self.written.reopened.add(finding.id, finding.severity, counts=counts)

    def _move(self, finding: Finding, there: list[Presence]) -> bool:
        """Set the state that follows from the presences; returns whether it changed."""
        before = finding.state
        if any(one.stream.ref == self._default for one in there):
            finding.state = FindingState.OPEN
        elif before == FindingState.OPEN or not there:
            finding.state = FindingState.FIXED
        elif before == FindingState.STAGED:
            finding.state = FindingState.BRANCH
        if finding.state == before:
            return False
        if finding.state == FindingState.FIXED:
            finding.fixed_at = self._now
        elif before == FindingState.FIXED:
            finding.opened_at, finding.fixed_at = self._now, None
        finding.updated_at = self._now
        return True


def open_presences(ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[Presence]]:
    """Return what is said of findings now, with the streams that say it: one statement."""
    presences: dict[uuid.UUID, list[Presence]] = defaultdict(list)
    for presence in Presence.objects.filter(finding_id__in=ids, closed_scan_id__isnull=True).select_related("stream").defer("raw"):
        presences[presence.finding_id].append(presence)
    return presences


def write(merged: Collection[Finding], moved: Collection[Finding]) -> None:
    """Write findings whose texts changed, and those of which only the state did."""
    Finding.objects.bulk_update(merged, [*MERGED, *_STATE], batch_size=100)
    unmerged = {one.id for one in moved} - {one.id for one in merged}
    for changes, ids in _grouped([one for one in moved if one.id in unmerged]):
        Finding.objects.filter(id__in=ids).update(**changes)


def _grouped(findings: list[Finding]) -> Iterator[tuple[dict[str, object], list[uuid.UUID]]]:
    """Yield each set of changes with the findings that have it: states move by thousands, but in few ways."""
    groups: dict[tuple[object, ...], list[uuid.UUID]] = defaultdict(list)
    for one in findings:
        if one.state == FindingState.OPEN or one.fixed_at is None:
            groups[tuple(getattr(one, name) for name in _STATE)].append(one.id)
        else:  # opened_at differs for each, and stays
            groups[one.state, None, one.fixed_at, one.updated_at].append(one.id)
    for (state, opened_at, fixed_at, updated_at), ids in groups.items():
        changes: dict[str, object] = {"state": state, "fixed_at": fixed_at, "updated_at": updated_at}
        yield (changes | {"opened_at": opened_at} if opened_at else changes), ids
