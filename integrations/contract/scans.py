"""What reads findings: a scan source yields pages, each with where to go on, so that a limited or killed reading resumes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from core.errors import OutboundError
from integrations.contract.connector import Connector
from integrations.contract.reports import ReportedFinding, RepositoryRef


@dataclass(frozen=True, slots=True)
class Section:
    """Says whose findings follow, until the next section. A tool that found nothing has a section too: that closes what it found before."""

    tool: str
    """Name of the scanner in lower case, such as codeql, semgrep or trivy: the same for every format that it writes."""
    version: str = ""
    category: str = ""
    """What tells apart several reports of one tool about one commit, such as SARIF's runAutomationDetails.id without its run part."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the report that can't be used. The rest is stored, and the scan ends as partial: it closes nothing."""

    where: str
    """Place in the report, such as runs[0].results[12]."""
    sentence: str
    elsewhere: bool = False
    """It is about something that has no section here, such as a product that may not be read: the sections are whole, and close."""


ScanItem = Section | ReportedFinding | Problem


@dataclass(frozen=True, slots=True)
class PackageUsed:
    """A package that a repository uses, as a lock file or an SBOM says."""

    ecosystem: str
    """As OSV writes it, such as npm or PyPI (https://ossf.github.io/osv-schema/#defined-ecosystems); empty where only the purl says it."""
    name: str
    version: str
    purl: str = ""
    manifest: str = ""
    """Path of the file that names it."""


@dataclass(frozen=True)
class ScanQuery:
    """What is asked for: the findings of a repository on a ref."""

    repository: RepositoryRef
    ref: str
    commit: str = ""
    since: datetime | None = None
    """Only what changed from then on, which is asked of `incremental` sources only; None: everything."""
    packages: Sequence[PackageUsed] = field(default=(), repr=False)
    """What the repository uses; given to sources that say `needs_packages`."""


@dataclass(frozen=True)
class ScanPage:
    """Some of what the source says. `cursor` is plain JSON, and says where to go on behind this page."""

    items: tuple[ScanItem, ...] = field(repr=False)
    """A finding belongs to the section before it, on this page or an earlier one; a section may be named again."""
    cursor: Mapping[str, Any]
    expected: int | None = None
    """How many findings there are in all, where the source says so."""
    synced_to: datetime | None = None
    """Given with the last page by `incremental` sources: the moment to ask from the next time, by the source's clock."""


class NothingToAsk(OutboundError):
    """A source that `needs_packages` was given none; the sentence says where to name them. Trying again can't help."""

    code = "no_packages"
    permanent = True


class ScanSource(Connector):
    """Has findings."""

    incremental: ClassVar[bool] = False
    """Whether it can tell only what changed since a moment. It then reports what was resolved with the state `fixed`."""

    @classmethod
    def needs_packages(cls, config: Mapping[str, Any]) -> bool:
        """Say whether a source of this configuration is asked about the packages that a repository uses."""
        return False

    @abstractmethod
    def scan_pages(self, query: ScanQuery, cursor: Mapping[str, Any] | None = None) -> Iterator[ScanPage]:
        """Yield the findings page by page, from behind `cursor` on. What was yielded stays good whatever comes after it.

        Raises OutboundError: a permanent one ends the scan, any other has it go on behind the last page after `retry_after`. What
        only a part of the source refuses is a Problem with `elsewhere`.
        """
