"""What differs between two scans of a repository, or between two of its refs as they are now.

A presence holds from its first scan to the one that closed it, and the scans of a stream are written in the order of their ids: uploads of
a repository in that of their arrival, of an integration and a ref one after the other. So what was there after a scan is known for as long
as presences are, of partial reports and of findings that came back too. What another stream said counts from when its scan was asked
for, though a pulled one may have been written later.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, TextChoices

from core.errors import Conflict, InvalidInput, NotFound
from integrations.models import Repository
from scans.choices import FindingState, ScanStatus, Severity
from scans.gates.sla import with_sla
from scans.models import Finding, Presence, Scan, Stream

MOST_TOP = 10
_LOOKED_AT = 50
_USABLE = (ScanStatus.COMPLETED, ScanStatus.PARTIAL)


class Change(TextChoices):
    """What became of a finding from the base to the head."""

    NEW = "new", "new"
    GONE = "gone", "gone"
    UNCHANGED = "unchanged", "unchanged"
    UNSCANNED = "unscanned", "not looked for"


@dataclass(frozen=True)
class Side:
    """A ref after one of its scans; without a scan, as it is now."""

    ref: str
    commit: str
    at: datetime | None
    scan_id: uuid.UUID | None = None

    def there(self, streams: Collection[Stream]) -> Exists:
        """Say of a finding whether one of these streams reported it then."""
        rows = Presence.objects.filter(finding_id=OuterRef("id"), stream_id__in=[one.id for one in streams])
        if self.scan_id is None:
            return Exists(rows.filter(closed_scan_id__isnull=True))
        still = Q(closed_scan_id__isnull=True) | Q(closed_scan_id__gt=self.scan_id)
        return Exists(rows.filter(still, first_scan_id__lte=self.scan_id))


@dataclass(frozen=True)
class Comparison:
    """Two sides of a repository, seen by the same tools."""

    repository: Repository
    base: Side
    head: Side
    base_streams: tuple[Stream, ...]
    head_streams: tuple[Stream, ...]

    @property
    def tools(self) -> list[str]:
        """Return the tools whose findings are compared."""
        return sorted({one.tool for one in (*self.base_streams, *self.head_streams)})

    def findings(self) -> QuerySet[Finding]:
        """Return those of either side; `change` is asked of them by `only`."""
        looking = {one.tool for one in self.head_streams}
        shared = [one for one in self.base_streams if one.tool in looking]
        found = Finding.objects.filter(repository=self.repository).exclude(state=FindingState.STAGED).select_related("repository")
        return (
            with_sla(found)
            .alias(
                in_head=self.head.there(self.head_streams), in_base=self.base.there(self.base_streams), in_shared=self.base.there(shared)
            )
            .filter(Q(in_head=True) | Q(in_base=True))
        )

    def only(self, change: str) -> QuerySet[Finding]:
        """Return the findings of which that became."""
        return self.findings().filter(_CONDITIONS[Change(change)])

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many findings became what, by severity. One statement."""
        rows = self.findings().order_by().values_list("severity")
        numbers = {change.value: Count("id", filter=condition) for change, condition in _CONDITIONS.items()}
        known = {severity: dict(zip(numbers, counted, strict=True)) for severity, *counted in rows.annotate(**numbers)}
        return {change: {one: known.get(one, {}).get(change, 0) for one in Severity.values} for change in numbers}

    def top(self, change: str, most: int = MOST_TOP) -> list[Finding]:
        """Return the worst findings of which that became."""
        return list(self.only(change).order_by("-severity_rank", "-id")[:most])


# gone is only what a tool lacks that has looked: what nobody looked for may be there still
_CONDITIONS = {
    Change.NEW: Q(in_head=True, in_base=False),
    Change.GONE: Q(in_head=False, in_shared=True),
    Change.UNCHANGED: Q(in_head=True, in_base=True),
    Change.UNSCANNED: Q(in_head=False, in_base=True, in_shared=False),
}


def compare_scans(head: Scan, base: Scan) -> Comparison:
    """Compare what their tools reported after each of two scans of a repository. Raises Conflict, InvalidInput."""
    if base.repository_id != head.repository_id:
        raise InvalidInput.of("base", "is a scan of another repository.")
    for scan in (base, head):
        if scan.status not in _USABLE:
            raise Conflict(f"Scan {scan.id} is {scan.status}: nothing is known of what was there after it.", code="scan_not_completed")
    tools = {*base.tools, *head.tools}
    base_streams, head_streams = _streams(head.repository, base.ref, head.ref, tools)
    return Comparison(head.repository, _after(base), _after(head), base_streams, head_streams)


def compare_refs(repository: Repository, base: str, head: str) -> Comparison:
    """Compare what all tools report of two refs now. Raises NotFound for a ref that no scan was about."""
    base_streams, head_streams = _streams(repository, base, head)
    sides = _now(repository, base, base_streams), _now(repository, head, head_streams)
    return Comparison(repository, *sides, base_streams, head_streams)


def _now(repository: Repository, ref: str, streams: Collection[Stream]) -> Side:
    known = [(one.last_at, one.last_commit) for one in streams if one.last_at]
    if not known:
        raise NotFound(f"No scan of {ref[:255]} is known for {repository.full_name}.", code="unknown_ref")
    at, commit = max(known)
    return Side(ref, commit, at)


def scan_before(scan: Scan) -> Scan | None:
    """Return the scan that one is most likely compared with: the one before of its ref and its tools, else of the default branch."""
    earlier = Scan.objects.filter(repository_id=scan.repository_id, id__lt=scan.id, status__in=_USABLE).order_by("-id")[:_LOOKED_AT]
    rows = [one for one in earlier if not scan.tools or one.tools == scan.tools]
    mine = (one for one in rows if one.ref == scan.ref)
    return next(mine, next((one for one in rows if one.ref == scan.repository.default_branch), None))


def comparable(scan: Scan) -> list[Scan]:
    """Return the latest scans that one can be compared with."""
    rows = Scan.objects.filter(repository_id=scan.repository_id, status__in=_USABLE).exclude(id=scan.id).order_by("-id")
    return list(rows[:_LOOKED_AT])


def _after(scan: Scan) -> Side:
    return Side(scan.ref, scan.commit, scan.finished_at, scan.id)


def _streams(repository: Repository, base: str, head: str, tools: Collection[str] = ()) -> tuple[tuple[Stream, ...], tuple[Stream, ...]]:
    found = Stream.objects.filter(repository=repository, ref__in={base, head})
    rows: Sequence[Stream] = list(found.filter(tool__in=tools) if tools else found)
    return tuple(one for one in rows if one.ref == base), tuple(one for one in rows if one.ref == head)
