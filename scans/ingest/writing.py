"""Writes a report that was read: what is new, what changed, what is gone; nothing where nothing changed.

On PostgreSQL all of it is one transaction. On SQLite, whose only writer it would keep from everybody, rows are committed by the thousand,
and findings stay staged, out of sight, until the last transaction shows them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from core.work import LeaseLost
from integrations.models import Repository
from scans.feeds.applying import enrich
from scans.ingest.packages import PackageWriter
from scans.ingest.places import PlaceWriter
from scans.ingest.reading import Report, SectionRead
from scans.ingest.rows import Rows
from scans.ingest.settling import Settlement, Written
from scans.locking import locked
from scans.models import Finding, Presence, Scan, Stream

BATCH_ROWS = 1000
COPIED_ROWS = 5000
"""On PostgreSQL, where rows are streamed and the server stores one while the next is made."""
_CLOSED_AT_ONCE = 5000


def write_report(scan: Scan, report: Report, finish: Callable[[Written], None]) -> Written:
    """Write a report, and call `finish` in the transaction that makes it visible: what that raises undoes it.

    Writing the same again, after a kill or as another scan, changes no finding. A report that is not whole closes what it says to be
    fixed, and nothing that it merely lacks.
    """
    now = timezone.now()
    closing = scan.complete and report.whole
    with _one_transaction():
        repository = locked(scan.repository_id)
        if repository is None:
            raise LeaseLost(str(scan.pk))  # deleted meanwhile, and the scan with it
        works = [_SectionWriter(scan, repository, report, number, now) for number in range(len(report.sections))]
        for work in works:
            work.store()
        with transaction.atomic():
            written = _settled(scan, repository, works, now, closing=closing)
            finish(written)
    return written


def _settled(scan: Scan, repository: Repository, works: list[_SectionWriter], now: datetime, *, closing: bool) -> Written:
    settlement = Settlement(scan, repository, now)
    closed = {id for work in works for id in work.close(whole=closing)}
    touched = {id for work in works for id in work.rows.touched}
    settlement.show({id: about for work in works for id, about in work.rows.created.items()}, touched)
    settlement.settle(touched, closed)
    enrich(scan, repository, {*touched, *(id for work in works for id in work.rows.named)})
    settlement.written.tools = sorted({work.section.tool for work in works})
    settlement.written.sections = len(works)
    for work in works:
        work.note(closing)
        settlement.written.total += work.section.total
        settlement.written.by_severity += work.section.by_severity()
    return settlement.written


def _one_transaction() -> AbstractContextManager[Any]:
    return transaction.atomic() if connection.vendor == "postgresql" else nullcontext()


class _SectionWriter:
    """Writes what one tool says of one category."""

    def __init__(self, scan: Scan, repository: Repository, report: Report, number: int, now: datetime) -> None:
        self._scan, self._report, self._number, self._now = scan, report, number, now
        self.section: SectionRead = report.sections[number]
        self.stream, _ = Stream.objects.get_or_create(
            repository=repository, ref=scan.ref, tool=self.section.tool, category=self.section.category
        )
        self.rows = Rows(scan, repository, self.stream, now)
        self._places, self._packages = PlaceWriter(self.rows, self.section), PackageWriter(self.rows)
        self._digest = self.section.digest_text()
        self._unchanged = self.stream.digest == self._digest
        self._closed = False

    def store(self) -> None:
        """Write findings and presences, unless the stream says the very same since its last report."""
        if self._unchanged:
            return
        if connection.vendor != "postgresql":
            # rows are committed bit by bit: should this scan be killed for good, nobody may take the stream for what it was before
            Stream.objects.filter(pk=self.stream.pk).update(digest="")
        places, packages = self._places, self._packages
        self.rows.look_up = Finding.objects.filter(repository=self.rows.repository).exists()
        for batch in _batches(self._report.spool.records(self._number)):
            with transaction.atomic():
                places.write(batch)
        packaged = sorted(self.section.packaged.items(), key=lambda item: (item[1][:2], item[0]))
        chosen = (self._report.spool.at(one.place) for _, one in packaged)
        for batch in _batches(chosen):
            with transaction.atomic():
                packages.write(batch)

    def close(self, *, whole: bool) -> set[uuid.UUID]:
        """End the presences that the stream does not report any more, as a whole report or its own word says; returns their findings."""
        if self._unchanged:
            return set()
        gone = self._lacking() if whole else self._told_fixed()
        ids = list(gone)
        for start in range(0, len(ids), _CLOSED_AT_ONCE):
            Presence.objects.filter(id__in=ids[start : start + _CLOSED_AT_ONCE]).update(closed_scan_id=self._scan.id)
        self._closed = bool(ids)
        return set(gone.values())

    def _lacking(self) -> dict[int, uuid.UUID]:
        gone: dict[int, uuid.UUID] = {}
        still = Presence.objects.filter(stream=self.stream, closed_scan_id__isnull=True).exclude(first_scan_id=self._scan.id)
        for id, finding_id in still.values_list("id", "finding_id").iterator(chunk_size=_CLOSED_AT_ONCE):
            if id not in self.rows.present:
                gone[id] = finding_id
        return gone

    def _told_fixed(self) -> dict[int, uuid.UUID]:
        gone: dict[int, uuid.UUID] = {}
        for keys in _batches(iter(self.section.fixed)):
            said = {key: self.section.fixed[key] for key in keys}
            records = [self._report.spool.at(places[0]) for places in said.values()]
            found = self._packages.told_fixed([one for one in records if one.names])
            found += self._places.told_fixed({one.key: said[one.key] for one in records if not one.names})
            for one in found:
                # what the same report says to be there is there
                if one.presence_id is not None and one.presence_id not in self.rows.present and one.first_scan_id != self._scan.id:
                    gone[one.presence_id] = one.finding_id
        return gone

    def note(self, closing: bool) -> None:
        """Record the report as the stream's last one, and what all there is where that is known: after a whole one, or one without news."""
        news = self._closed or self.rows.created or self.rows.touched
        digest = self._digest if closing or self._unchanged else "" if news else self.stream.digest
        Stream.objects.filter(pk=self.stream.pk).update(
            digest=digest, last_scan_id=self._scan.id, last_commit=self._scan.commit, last_at=self._now
        )


def _batches(records: Iterator[Any]) -> Iterator[list[Any]]:
    size = COPIED_ROWS if connection.vendor == "postgresql" else BATCH_ROWS
    while batch := list(islice(records, size)):
        yield batch
