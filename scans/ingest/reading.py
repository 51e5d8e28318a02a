"""Reads the items of a report into a spool, and notes what the writer has to know of the whole before it begins."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from core.errors import InvalidInput, RepoGuardError
from integrations.contract.reports import ReportedFinding
from scans import identity
from scans.categories import MARK
from scans.choices import Severity
from scans.formats.base import MOST_PROBLEMS, Item, Problem, Section
from scans.ingest.spool import VALUES, Record, Spool, values_of
from scans.normal.finding import NormalFinding
from scans.normal.identifiers import alias_names
from scans.normal.kept import unmasked_json
from scans.normal.normalise import normalise
from scans.severities import rank

MOST_SECTIONS = 100
FIXED = "fixed"
_TOLD_EACH = 2000
_WHOLE = 1 << 128
Twin = tuple[int, bytes]
"""Line and content of a finding: what tells those apart that share a place, whatever order they are reported in."""


class Packaged(NamedTuple):
    """What is remembered of a finding about a package; its record is at `place` in the spool.

    Where a report says the same of several manifests, or under several names, the least speaks for all of them: what counts goes before
    what is dismissed in one place, then the worst.
    """

    suppressed: bool
    better: int
    """Rises as the severity falls."""
    content: bytes
    place: int
    severity: str


@dataclass
class SectionRead:
    """What one tool says of one category."""

    tool: str
    version: str
    category: str
    count: int = 0
    digest: int = 0
    """Sum of all that it reports: the same in any order."""
    places: dict[bytes, Twin] = field(default_factory=dict)
    """Key of each place in the code, with the first finding there."""
    twins: dict[bytes, list[Twin]] = field(default_factory=dict)
    """The findings of each place that has more than one."""
    packaged: dict[bytes, Packaged] = field(default_factory=dict)
    """Findings about packages, by their keys."""
    fixed: dict[bytes, list[int]] = field(default_factory=dict)
    """Places in the spool of what it says to be fixed, by key; it counts nowhere else."""
    severities: Counter[Severity] = field(default_factory=Counter)
    """Of the places in the code."""

    def add(self, record: Record, severity: Severity) -> None:
        """Count a finding about a place in the code."""
        self.count += 1
        self.severities[severity] += 1
        self.digest = (self.digest + _weight(record.key, record.content)) % _WHOLE
        twin = (record.line, record.content)
        if (first := self.places.setdefault(record.key, twin)) is not twin:
            self.twins.setdefault(record.key, [first]).append(twin)

    @property
    def total(self) -> int:
        """Return how many findings it reports, each once."""
        return self.count + len(self.packaged)

    def by_severity(self) -> Counter[str]:
        """Return how many findings it reports of each severity."""
        counts = Counter({severity.value: count for severity, count in self.severities.items()})
        return counts + Counter(one.severity for one in self.packaged.values())

    def digest_text(self) -> str:
        """Return the digest as it is stored."""
        packaged = sum(_weight(key, one.content) for key, one in self.packaged.items())
        return f"{(self.digest + packaged) % _WHOLE:032x}"


@dataclass
class Report:
    """A report that was read whole."""

    spool: Spool
    sections: list[SectionRead] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    whole: bool = True
    """Its sections lack nothing: all problems are about what has no section."""

    def add_problem(self, problem: Problem) -> None:
        """Count a problem; the first ones are kept."""
        self.problem_count += 1
        self.whole = self.whole and problem.elsewhere
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


def read_report(
    items: Iterable[Item],
    repository_id: uuid.UUID,
    category: str = "",
    *,
    prefix: str = "",
    seen: Callable[[int], None] = lambda number: None,
) -> Report:
    """Read all items; `category` replaces what the report says, `prefix` is put before it, `seen` is told the count now and then.

    Raises what the format raises before it yielded anything; a report that breaks off later keeps what came before, as a problem.
    """
    report = Report(Spool())
    try:
        reader = _Reader(report, repository_id, category, prefix)
        for number, item in enumerate(_guarded(items, report)):
            reader.take(item)
            if number % _TOLD_EACH == 0:
                seen(number)
    except BaseException:
        report.spool.close()
        raise
    for section in report.sections:
        section.places.clear()  # they told twins apart; what is written needs the room
    return report


def _guarded(items: Iterable[Item], report: Report) -> Iterator[Item]:
    begun = False
    try:
        for item in items:
            begun = begun or not isinstance(item, Problem)
            yield item
    except RepoGuardError as error:
        if not begun:
            raise
        report.add_problem(Problem("report", error.message))
    if not begun:
        sentence = report.problems[0].sentence if report.problems else "it is empty"
        raise InvalidInput(f"Nothing of the report can be used: {sentence}", code="unusable_report")


class _Reader:
    def __init__(self, report: Report, repository_id: uuid.UUID, category: str, prefix: str) -> None:
        self._report, self._repository_id, self._category, self._prefix = report, repository_id, category, prefix
        self._section: SectionRead | None = None
        self._number = 0

    def take(self, item: Item) -> None:
        if isinstance(item, ReportedFinding):
            self._finding(item)
        elif isinstance(item, Section):
            self._enter(item)
        else:
            self._report.add_problem(item)

    def _enter(self, section: Section) -> None:
        tool, own = section.tool.strip().lower()[:60] or "unknown", self._category or section.category
        # a report that came by itself never speaks for an integration, whatever it calls its category
        category = (self._prefix + (own if self._prefix else own.removeprefix(MARK)))[:255]
        for number, known in enumerate(self._report.sections):
            if (known.tool, known.category) == (tool, category):
                self._section, self._number = known, number
                return
        if len(self._report.sections) >= MOST_SECTIONS:
            raise InvalidInput(f"The report speaks for more than {MOST_SECTIONS} tools and categories.", code="too_many_tools")
        self._section, self._number = SectionRead(tool, section.version[:60], category), len(self._report.sections)
        self._report.sections.append(self._section)

    def _finding(self, reported: ReportedFinding) -> None:
        section = self._section
        if section is None:
            raise InvalidInput("The report has findings before it names its tool.", code="unusable_report")
        finding = normalise(reported, section.tool, unmasked_json)
        record = self._record(finding)
        if reported.state == FIXED:
            section.fixed.setdefault(record.key, []).append(self._report.spool.add(record))
            return
        if record.names:
            known = section.packaged.get(record.key)
            better = -rank(finding.severity.value)
            if known is None or (finding.suppressed, better, record.content) < known[:3]:
                place = self._report.spool.add(record)
                section.packaged[record.key] = Packaged(finding.suppressed, better, record.content, place, finding.severity.value)
            return
        section.add(record, finding.severity)
        self._report.spool.append(self._number, record)

    def _record(self, finding: NormalFinding) -> Record:
        values = values_of(finding)
        reported = orjson.dumps(dict(zip(VALUES, values, strict=True)))
        names: tuple[str, ...] = ()
        if identity.is_packaged(finding):
            names = alias_names(finding.identifiers, finding.rule) or (finding.rule,)
        content = hashlib.blake2b(reported, digest_size=16).digest()
        key = identity.place_key(self._repository_id, finding, names)
        return Record(key, content, names, finding.line or 0, values, reported.decode(), finding.raw)


def _weight(key: bytes, content: bytes) -> int:
    # both are hashes: their product is another number for every pair, and a sum of products for every set of pairs
    return int.from_bytes(key, "big") * int.from_bytes(content, "big")
