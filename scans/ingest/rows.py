"""The rows that a section of a report needs, collected and written by the batch."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from core.fields import RawJSONField
from core.ids import uuid7
from integrations.models import Repository
from scans.choices import FindingState
from scans.ingest import tables
from scans.ingest.spool import VALUES, Record
from scans.ingest.tables import Known
from scans.models import Finding, FindingIdentifier, Presence, Scan, Stream
from scans.severities import rank

_FINDING = (
    "id", "repository_id", "identity", *VALUES, "severity_rank", "sources", "state", "triage", "first_scan_id", "opened_at", "created_at",
    "updated_at",
)  # fmt: skip
_PRESENCE = ("finding_id", "stream_id", "first_scan_id", "content", "reported", "raw", "by_range")
_IDENTIFIER = ("key", "finding_id", "value")
_SEVERITY, _CWE, _IDENTIFIERS, _SUPPRESSED = (VALUES.index(name) for name in ("severity", "cwe", "identifiers", "suppressed"))


class Rows:
    """Collects new findings and presences, and what is still there, of one stream."""

    def __init__(self, scan: Scan, repository: Repository, stream: Stream, now: datetime) -> None:
        self.scan, self.repository, self.stream, self.now = scan, repository, stream, now
        self.is_default = stream.ref == repository.default_branch
        self.present: set[int] = set()
        """Presences from before that the stream still reports."""
        self.created: dict[uuid.UUID, tuple[str, bool]] = {}
        """Findings that nobody reported before: their severity, and whether they count."""
        self.touched: set[uuid.UUID] = set()
        """Findings that were there, and of which this stream says something else, or says it for the first time."""
        self._sources = json.dumps([stream.tool])
        shown = FindingState.OPEN if self.is_default else FindingState.BRANCH
        self._state = shown.value if connection.vendor == "postgresql" else FindingState.STAGED.value
        self._findings: list[Sequence[Any]] = []
        self._presences: list[Sequence[Any]] = []
        self._identifiers: list[Sequence[Any]] = []
        self._changed: list[tuple[int, uuid.UUID, str, str]] = []

    def new_finding(self, identity: uuid.UUID, record: Record) -> uuid.UUID:
        """Add a finding with its presence; returns its id."""
        id, values = uuid7(), list(record.values)
        values[_CWE], values[_IDENTIFIERS] = json.dumps(values[_CWE]), json.dumps(values[_IDENTIFIERS])
        severity = rank(values[_SEVERITY])
        self._findings.append(
            (
                id,
                self.repository.id,
                identity,
                *values,
                severity,
                self._sources,
                self._state,
                "",
                self.scan.id,
                self.now,
                self.now,
                self.now,
            )
        )
        self.created[id] = (values[_SEVERITY], not values[_SUPPRESSED])
        self._presence(id, record)
        return id

    def known_finding(self, known: Known, record: Record) -> None:
        """Note that the stream reports a stored finding; only what differs is written."""
        content = uuid.UUID(bytes=record.content)
        if known.presence_id is None:
            self._presence(known.finding_id, record)
            self.touched.add(known.finding_id)
            return
        self.present.add(known.presence_id)
        if known.content != content:
            self._changed.append((known.presence_id, content, record.reported, record.raw))
            self.touched.add(known.finding_id)
        elif known.first_scan_id == self.scan.id or known.state == FindingState.STAGED:
            # from before this scan's worker was killed, or left by a scan that failed for good
            self.touched.add(known.finding_id)

    def name(self, finding_id: uuid.UUID, key: uuid.UUID, value: str) -> None:
        """Add a name by which a finding is found."""
        self._identifiers.append((key, finding_id, value[:200]))

    def copy_presence(self, finding_id: uuid.UUID, other: Presence) -> None:
        """Have a finding reported by another stream too, as that reports its like."""
        texts = (RawJSONField.dump(other.reported), RawJSONField.dump(other.raw))
        self._presences.append((finding_id, other.stream_id, other.first_scan_id, other.content, *texts, other.by_range))
        self.touched.add(finding_id)

    def forget(self, gone: set[uuid.UUID], kept: uuid.UUID) -> None:
        """Note that findings became one."""
        for id in gone:
            self.created.pop(id, None)
        self.touched = self.touched - gone | {kept}

    def flush(self) -> None:
        """Write what was collected, in the caller's transaction."""
        for model, names, rows in ((Finding, _FINDING, self._findings), (FindingIdentifier, _IDENTIFIER, self._identifiers)):
            if rows:
                tables.insert(model, names, rows)
                rows.clear()
        if self._presences:
            tables.insert(Presence, _PRESENCE, self._presences)
            self._presences.clear()
        tables.update_presences(self._changed)
        self._changed.clear()

    def _presence(self, finding_id: uuid.UUID, record: Record) -> None:
        content = uuid.UUID(bytes=record.content)
        by_range = bool(record.names) and not record.package.version
        self._presences.append((finding_id, self.stream.id, self.scan.id, content, record.reported, record.raw, by_range))
