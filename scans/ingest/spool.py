"""A report in its normal form, on the disk until it is written: a report of any size takes little memory, and no lock while it is read."""

from __future__ import annotations

import marshal
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from scans.choices import Kind, Severity
from scans.identity import Package
from scans.normal.finding import NormalFinding

_FOLDED = 4 * 1024 * 1024
_LENGTH = 4


class Record(NamedTuple):
    """One finding of a report."""

    section: int
    key: bytes
    """identity.place_key()"""
    content: bytes
    """Hash of `reported`."""
    names: tuple[str, ...]
    """Names of the vulnerability; empty for a place in the code."""
    line: int
    values: tuple[Any, ...]
    """The columns of VALUES."""
    reported: str
    raw: str

    @property
    def package(self) -> Package:
        """Return what package it is about."""
        return Package(*(self.values[number] for number in _PACKAGE))


VALUES = (
    "kind", "tool", "rule", "title", "description", "severity", "severity_origin", "cvss_score", "cvss_vector", "cwe", "identifiers",
    "ecosystem", "package", "version", "fixed_version", "vulnerable_range", "purl", "path", "line", "url", "suppressed",
)  # fmt: skip

_PACKAGE = [VALUES.index(name) for name in ("kind", "ecosystem", "package", "version")]
RANGE = VALUES.index("vulnerable_range")


def values_of(finding: NormalFinding) -> tuple[Any, ...]:
    """Return the columns of a finding, as plain values that marshal takes."""
    return (
        str(Kind(finding.kind).value), finding.tool, finding.rule, finding.title, finding.description,
        str(Severity(finding.severity).value), finding.severity_origin, finding.cvss_score, finding.cvss_vector, finding.cwe,
        finding.identifiers, finding.ecosystem, finding.package, finding.version, finding.fixed_version, finding.vulnerable_range,
        finding.purl, finding.path or finding.manifest, finding.line, finding.url, finding.suppressed,
    )  # fmt: skip


class Spool:
    """Appends records, then yields them as often as is wanted. The file has no name and is gone with the process."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_FOLDED)  # noqa: SIM115 - closed by close()
        self._end = 0

    def add(self, record: Record) -> int:
        """Append a record and return where it is."""
        place = self._end
        data = marshal.dumps(tuple(record))
        self._file.write(len(data).to_bytes(_LENGTH, "big") + data)
        self._end += _LENGTH + len(data)
        return place

    def records(self) -> Iterator[Record]:
        """Yield all records, in the order they were added."""
        self._file.seek(0)
        while length := self._file.read(_LENGTH):
            yield self._load(length)

    def at(self, place: int) -> Record:
        """Return the record at a place."""
        self._file.seek(place)
        return self._load(self._file.read(_LENGTH))

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def _load(self, length: bytes) -> Record:
        # marshal.load() would read the file in tiny pieces, six times slower
        return Record(*marshal.loads(self._file.read(int.from_bytes(length, "big"))))  # noqa: S302 - our own file
