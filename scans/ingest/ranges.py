"""Reports without versions (Dependabot names package, range and manifest): they belong to each finding whose version is in their range.

Where there is none they open a finding without a version, which adopts the first version that another tool reports in its range.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q

from scans.choices import Kind
from scans.identity import Package, package_keys
from scans.ingest.rows import Rows
from scans.ingest.spool import RANGE, Record
from scans.ingest.tables import Known, known_findings
from scans.models import Finding, FindingIdentifier, Presence
from scans.normal.ranges import contains


class RangeBook:
    """What is stored of the packages of a batch, as far as ranges matter at all in this repository."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        ranged = Presence.objects.filter(finding__repository=rows.repository, closed_scan_id__isnull=True, by_range=True)
        self._any_ranged = ranged.exists()
        self._findings: dict[tuple[str, str], dict[uuid.UUID, Finding]] = {}
        self._names: dict[uuid.UUID, set[str]] = {}
        self._ranged: dict[uuid.UUID, list[Presence]] = {}
        self._known: dict[uuid.UUID, Known] = {}

    def open(self, records: Sequence[Record]) -> None:
        """Read the stored findings of these records' packages, in a constant number of statements."""
        self._findings, self._names, self._ranged, self._known = {}, {}, {}, {}
        if not self._any_ranged and all(record.package.version for record in records):
            return
        packages = {(record.package.ecosystem, record.package.name) for record in records}
        stored = Finding.objects.filter(repository=self._rows.repository, kind=Kind.DEPENDENCY, package__in={name for _, name in packages})
        for one in stored.only("id", "ecosystem", "package", "version", "vulnerable_range"):
            if (one.ecosystem, one.package) in packages:
                self._findings.setdefault((one.ecosystem, one.package), {})[one.id] = one
        ids = [id for found in self._findings.values() for id in found]
        for finding_id, value in FindingIdentifier.objects.filter(finding_id__in=ids).values_list("finding_id", "value"):
            self._names.setdefault(finding_id, set()).add(value)
        for presence in Presence.objects.filter(Q(finding_id__in=ids), closed_scan_id__isnull=True, by_range=True):
            self._ranged.setdefault(presence.finding_id, []).append(presence)
        self._known = known_findings(self._rows.stream.id, ids)

    def inside(self, record: Record) -> list[Known]:
        """Return the findings that a report without a version is about: of the same vulnerability, their versions in its range."""
        text = record.values[RANGE]
        return [
            self._known[one.id]
            for one in self._same(record.package, record.names)
            if one.version and contains(one.ecosystem, one.version, text)
        ]

    def unversioned(self, record: Record) -> Known | None:
        """Return the finding without a version in whose range the version of a report is, if there is such."""
        for one in self._same(record.package, record.names):
            if not one.version and contains(record.package.ecosystem, record.package.version, one.vulnerable_range):
                return self._known[one.id]
        return None

    def adopt(self, known: Known, record: Record) -> Known:
        """Give a finding without a version that of a report, and the names that go with it."""
        package, id = record.package, known.finding_id
        Finding.objects.filter(pk=id).update(version=package.version)
        names = self._names.get(id, set())
        FindingIdentifier.objects.filter(key__in=list(package_keys(self._rows.repository.id, package._replace(version=""), names))).delete()
        for key, name in package_keys(self._rows.repository.id, package, names - set(record.names)).items():
            self._rows.name(id, key, name)
        self._findings[package.ecosystem, package.name][id].version = package.version
        self._rows.touched.add(id)
        return known

    def lacks_version(self, finding_id: uuid.UUID) -> bool:
        """Say whether a finding of this batch's packages has no version."""
        return any(finding_id in found and not found[finding_id].version for found in self._findings.values())

    def forget(self, gone: set[uuid.UUID], kept: uuid.UUID) -> None:
        """Note that findings became one."""
        for id in gone:
            self._ranged.setdefault(kept, []).extend(self._ranged.pop(id, ()))
            self._names.setdefault(kept, set()).update(self._names.pop(id, ()))
            for found in self._findings.values():
                found.pop(id, None)

    def attach(self, finding_id: uuid.UUID, record: Record) -> None:
        """Have the reports by range, of other streams, speak for a finding whose version came up."""
        has = {presence.stream_id for presence in self._ranged.get(finding_id, ())} | {self._rows.stream.id}
        for one in self._same(record.package, record.names):
            for presence in self._ranged.get(one.id, ()):
                text = _reported(presence).get("vulnerable_range", "")
                if presence.stream_id not in has and contains(record.package.ecosystem, record.package.version, text):
                    has.add(presence.stream_id)
                    self._rows.copy_presence(finding_id, presence)

    def _same(self, package: Package, names: Iterable[str]) -> list[Finding]:
        wanted = set(names)
        found = self._findings.get((package.ecosystem, package.name), {}).values()
        return [one for one in sorted(found, key=lambda one: one.id) if wanted & self._names.get(one.id, set())]


def _reported(presence: Presence) -> dict[str, Any]:
    return presence.reported if isinstance(presence.reported, dict) else {}
