"""Findings about packages: found again by any of the vulnerability's names, so that tools which know different ones share a row."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from scans.identity import package_keys
from scans.ingest.merging import join_findings
from scans.ingest.ranges import RangeBook
from scans.ingest.rows import Rows
from scans.ingest.spool import Record
from scans.ingest.tables import Known, known_packages


class PackageWriter:
    """Writes batches of them. Records must come in an order that does not depend on the report's."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._book = RangeBook(rows)
        self._claimed: set[uuid.UUID] = set()

    def write(self, records: Sequence[Record]) -> None:
        """Write a batch, in the caller's transaction."""
        keys = [package_keys(self._rows.repository.id, record.package, record.names) for record in records]
        known = known_packages(self._rows.stream.id, {key for one in keys for key in one})
        self._book.open(records)
        for record, own in zip(records, keys, strict=True):
            if not record.package.version and (inside := self._book.inside(record)):
                for found in inside:
                    self._claim(found, record)
                continue
            self._write(record, own, known)
        self._rows.flush()

    def told_fixed(self, records: Sequence[Record]) -> list[Known]:
        """Return what is stored of these findings, which are said to be fixed; one without a version means all inside its range."""
        wanted = {key for one in records for key in package_keys(self._rows.repository.id, one.package, one.names)}
        found = list(known_packages(self._rows.stream.id, wanted).values())
        self._book.open(records)
        return found + [known for one in records if not one.package.version for known in self._book.inside(one)]

    def _write(self, record: Record, keys: dict[uuid.UUID, str], known: dict[uuid.UUID, Known]) -> None:
        found = {known[key].finding_id: known[key] for key in keys if key in known}
        one = self._joined(list(found.values()), known) if len(found) > 1 else next(iter(found.values()), None)
        if record.package.version and (unversioned := self._book.unversioned(record)):
            one = self._joined([one, unversioned], known) if one else self._book.adopt(unversioned, record)
        if one is None:
            id = self._rows.new_finding(min(keys), record)
            self._claimed.add(id)
            one = Known(id, "", None, None, None)
        else:
            self._claim(one, record)
        for key in keys.keys() - known.keys():
            self._rows.name(one.finding_id, key, keys[key])
        known |= dict.fromkeys(keys, one)
        if record.package.version:
            self._book.attach(one.finding_id, record)

    def _claim(self, known: Known, record: Record) -> None:
        """A tool may report one vulnerability under two of its names: the first of them speaks for it."""
        if known.finding_id not in self._claimed:
            self._claimed.add(known.finding_id)
            self._rows.known_finding(known, record)

    def _joined(self, found: list[Known], known: dict[uuid.UUID, Known]) -> Known:
        """Make one finding of several that turn out to be the same: a report knows the names of all."""
        # what has a version comes first: one without it, which is older, would take it away
        kept, *others = sorted(found, key=lambda one: (self._book.lacks_version(one.finding_id), one.finding_id))
        self._rows.flush()
        gone = {one.finding_id for one in others}
        join_findings(kept.finding_id, gone, self._rows.scan.id)
        if kept.presence_id is None:  # one of the others may have brought its presence in this stream along
            kept = next((one._replace(finding_id=kept.finding_id, state=kept.state) for one in others if one.presence_id), kept)
        if gone & self._claimed:
            self._claimed.add(kept.finding_id)
        self._rows.forget(gone, kept.finding_id)
        self._book.forget(gone, kept.finding_id)
        known |= {key: kept for key, one in known.items() if one.finding_id in gone | {kept.finding_id}}
        return kept
