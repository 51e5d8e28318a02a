"""A report in its normal form, on the disk until it is written: a report of any size takes little memory, and no lock while it is read."""

from __future__ import annotations

import marshal
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from scans.choices import Kind, Severity
from scans.identity import Package
from scans.normal.finding import NormalFinding
from scans.normal.kept import Unmasked

_KEPT = 8 * 1024 * 1024
"""Records of so much text stay as they are, and never come to the disk."""
_FOLDED = 4 * 1024 * 1024
_LENGTH = 4
_BLOCK = 100
"""So many records are packed at once, which takes half the time."""


class Record(NamedTuple):
    """One finding of a report."""

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
    raw: str | Unmasked

    @property
    def package(self) -> Package:
        """Return what package it is about."""
        return Package(*(self.values[number] for number in _PACKAGE))


VALUES = (
    "kind", "tool", "rule", "title", "description", "severity", "severity_origin", "cvss_score", "cvss_vector", "cwe", "identifiers",
    "ecosystem", "package", "version", "fixed_version", "vulnerable_range", "purl", "path", "line", "url", "suppressed",
)  # fmt: skip

_WORDS: dict[str, str] = {one: str(one.value) for one in (*Kind, *Severity)}
_PACKAGE = [VALUES.index(name) for name in ("kind", "ecosystem", "package", "version")]
RANGE = VALUES.index("vulnerable_range")


def values_of(finding: NormalFinding) -> tuple[Any, ...]:
    """Return the columns of a finding, as plain values that marshal takes."""
    return (
        _WORDS[finding.kind], finding.tool, finding.rule, finding.title, finding.description, _WORDS[finding.severity],
        finding.severity_origin, finding.cvss_score, finding.cvss_vector, finding.cwe, finding.identifiers, finding.ecosystem,
        finding.package, finding.version, finding.fixed_version, finding.vulnerable_range, finding.purl, finding.path or finding.manifest,
        finding.line, finding.url, finding.suppressed,
    )  # fmt: skip


class Spool:
    """Keeps records. The file has no name and is gone with the process."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_FOLDED)  # noqa: SIM115 - closed by close()
        self._end = 0
        self._blocks: dict[int, list[int | list[tuple[Any, ...]]]] = {}
        self._kept = 0
        self._block: list[tuple[Any, ...]] = []
        self._section = 0

    def append(self, section: int, record: Record) -> None:
        """Keep a record for records()."""
        if section != self._section or len(self._block) == _BLOCK:
            self._flush()
            self._section = section
        self._block.append(tuple(record))

    def records(self, section: int) -> Iterator[Record]:
        """Yield what was appended for a section, in that order."""
        self._flush()
        for place in self._blocks.get(section, ()):
            yield from map(Record._make, self._load(place) if isinstance(place, int) else place)

    def add(self, record: Record) -> int:
        """Keep a record for at(), and return where it is."""
        return self._write(tuple(record))

    def at(self, place: int) -> Record:
        """Return the record at a place."""
        return Record._make(self._load(place))

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def _flush(self) -> None:
        if self._block:
            keep = self._kept < _KEPT
            self._blocks.setdefault(self._section, []).append(self._block if keep else self._write(self._block))
            self._kept += sum(len(text) for record in self._block for text in record[-2:])
            self._block = []

    def _write(self, value: Any) -> int:
        place, data = self._end, marshal.dumps(value)
        self._file.seek(place)
        self._file.write(len(data).to_bytes(_LENGTH, "big") + data)
        self._end += _LENGTH + len(data)
        return place

    def _load(self, place: int) -> Any:
        self._file.seek(place)
        # marshal.load() would read the file in tiny pieces, six times slower
        return marshal.loads(self._file.read(int.from_bytes(self._file.read(_LENGTH), "big")))  # noqa: S302 - our own file
