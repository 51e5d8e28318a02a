"""The rows that a section of a report needs, collected and written by the batch."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any

import orjson
from django.db import connection

from core.fields import RawJSONField
from core.ids import uuid7
from integrations.models import Repository
from scans.choices import FindingState
from scans.ingest import tables
from scans.ingest.spool import VALUES, Record
from scans.ingest.tables import Known
from scans.models import Finding, FindingIdentifier, Presence, Scan, Stream
from scans.normal.kept import masked_json
from scans.severities import rank

_FINDING = (
    "id", "repository_id", "identity", *VALUES, "severity_rank", "sources", "state", "triage", "first_scan_id", "opened_at", "created_at",
    "updated_at",
)  # fmt: skip
_PRESENCE = ("finding_id", "stream_id", "first_scan_id", "content", "reported", "raw", "by_range")
_IDENTIFIER = ("key", "finding_id", "value")
_SEVERITY, _CWE, _SUPPRESSED = (VALUES.index(name) for name in ("severity", "cwe", "suppressed"))


class Rows:
    """Collects new findings and presences, and what is still there, of one stream."""

    def __init__(self, scan: Scan, repository: Repository, stream: Stream, now: datetime) -> None:
        self.scan, self.repository, self.stream, self.now = scan, repository, stream, now
        self.look_up = True
        """The repository had findings before."""
        self.is_default = stream.ref == repository.default_branch
        self.present: set[int] = set()
        """Presences from before that the stream still reports."""
        self.created: dict[uuid.UUID, tuple[str, bool]] = {}
        """Findings that nobody reported before: their severity, and whether they count."""
        self.named: set[uuid.UUID] = set()
        """Those among them that lists of vulnerabilities may know."""
        self.touched: set[uuid.UUID] = set()
        """Findings that were there, and of which this stream says something else, or says it for the first time."""
        self._sources = json.dumps([stream.tool])
        shown = FindingState.OPEN if self.is_default else FindingState.BRANCH
        self._state = shown.value if connection.vendor == "postgresql" else FindingState.STAGED.value
        self._findings: list[tuple[str, str, tuple[Any, ...]]] = []
        self._presences: list[tuple[str, Record]] = []
        self._places: Iterable[tuple[uuid.UUID, Record]] = ()
        self._copies: list[Sequence[Any]] = []
        self._identifiers: list[Sequence[Any]] = []
        self._changed: list[tuple[int, uuid.UUID, str, str]] = []

    def new_finding(self, identity: uuid.UUID, record: Record) -> uuid.UUID:
        """Add a finding with its presence; returns its id."""
        id = uuid7()
        self.created[id] = (record.values[_SEVERITY], not record.values[_SUPPRESSED])
        if record.values[_CWE + 1]:
            self.named.add(id)
        self._findings.append((id.hex, identity.hex, record.values))
        self._presences.append((id.hex, record))
        return id

    def new_places(self, places: Iterable[tuple[uuid.UUID, Record]]) -> None:
        """Add findings, by identity, which are made while they are written."""
        self._places = places

    def known_finding(self, known: Known, record: Record) -> None:
        """Note that the stream reports a stored finding; only what differs is written."""
        content = uuid.UUID(bytes=record.content)
        if known.presence_id is None:
            self._presences.append((known.finding_id.hex, record))
            self.touched.add(known.finding_id)
            return
        self.present.add(known.presence_id)
        if known.content != content:
            self._changed.append((known.presence_id, content, record.reported, masked_json(record.raw)))
            self.touched.add(known.finding_id)
        elif known.first_scan_id == self.scan.id or known.state == FindingState.STAGED:
            # from before this scan's worker was killed, or left by a scan that failed for good
            self.touched.add(known.finding_id)

    def name(self, finding_id: uuid.UUID, key: uuid.UUID, value: str) -> None:
        """Add a name by which a finding is found."""
        self._identifiers.append((key.hex, finding_id.hex, value[:200]))

    def copy_presence(self, finding_id: uuid.UUID, other: Presence) -> None:
        """Have a finding reported by another stream too, as that reports its like."""
        ids = (finding_id.hex, other.stream_id.hex, other.first_scan_id.hex, other.content.hex)
        self._copies.append((*ids, RawJSONField.dump(other.reported), RawJSONField.dump(other.raw), other.by_range))
        self.touched.add(finding_id)

    def forget(self, gone: set[uuid.UUID], kept: uuid.UUID) -> None:
        """Note that findings became one."""
        for id in gone:
            self.created.pop(id, None)
        self.named -= gone
        self.touched = self.touched - gone | {kept}

    def flush(self) -> None:
        """Write what was collected, in the caller's transaction. Rows are made while the database stores those before."""
        tables.insert(Finding, _FINDING, self._finding_rows())
        tables.insert(FindingIdentifier, _IDENTIFIER, self._identifiers)
        tables.insert(Presence, _PRESENCE, chain(self._presence_rows(), self._copies))
        tables.update_presences(self._changed)
        for rows in (self._findings, self._identifiers, self._presences, self._copies, self._changed):
            rows.clear()

    def _finding_rows(self) -> Iterator[Sequence[Any]]:
        repository, scan, now = self.repository.id.hex, self.scan.id.hex, tables.stored_time(self.now)
        for id, identity, values in chain(self._made_places(), self._findings):
            lists = (_listed(values[_CWE]), _listed(values[_CWE + 1]))
            severity = rank(values[_SEVERITY])
            yield (
                id, repository, identity, *values[:_CWE], *lists, *values[_CWE + 2 :], severity, self._sources, self._state, "", scan,
                now, now, now,
            )  # fmt: skip

    def _made_places(self) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
        for identity, record in self._places:
            self.new_finding(identity, record)
            yield self._findings.pop()
        self._places = ()

    def _presence_rows(self) -> Iterator[Sequence[Any]]:
        stream, scan = self.stream.id.hex, self.scan.id.hex
        for id, record in self._presences:
            by_range = bool(record.names) and not record.package.version
            yield id, stream, scan, record.content.hex(), record.reported, masked_json(record.raw), by_range


@lru_cache(maxsize=4096)
def _listed(values: tuple[Any, ...]) -> str:
    return orjson.dumps(values).decode()
