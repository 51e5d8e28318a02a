"""What connectors report: findings and build runs in the words of the field (SARIF, CVSS, CWE, purl; TravisTorrent)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class RepositoryRef:
    """The repository that is asked about."""

    provider: str
    full_name: str
    default_branch: str = "main"


@dataclass(frozen=True, slots=True)
class ReportedPackage:
    """A vulnerable package. `purl` as of https://github.com/package-url/purl-spec; versions as the source writes them."""

    ecosystem: str
    """As the source writes it, such as npm, PyPI or pip; empty where only the purl says it."""
    name: str
    version: str = ""
    fixed_version: str = ""
    vulnerable_range: str = ""
    purl: str = ""
    manifest: str = ""


@dataclass(frozen=True, slots=True)
class ReportedLocation:
    """A place in the code; lines from 1."""

    path: str
    """Relative to the repository's root, with slashes, no leading one."""
    line: int | None = None
    end_line: int | None = None
    snippet: str = field(default="", repr=False)


@dataclass(slots=True)  # a report has a hundred thousand of these, and setting the fields of a frozen one takes as long as reading it
class ReportedFinding:
    """A finding as a source reports it, before it is normalised. A word that is not known stays as it is, and is never dropped."""

    source_id: str
    title: str
    severity: str
    """The source's own word or score: `high`, `ERROR`, `moderate`, `7.5`; empty where it gives none."""
    kind: str = ""
    """What it is about where package and locations don't tell: secret, config, license, container."""
    rule: str = ""
    description: str = ""
    severity_origin: str = ""
    """Which field the word was taken from, such as `security-severity` or `level`."""
    cvss: tuple[str, ...] = ()
    """CVSS vectors."""
    cwe: tuple[str, ...] = ()
    """As the source writes them: CWE-79, cwe-079, 79, "CWE-79: Cross-site scripting"."""
    identifiers: tuple[tuple[str, str], ...] = ()
    """(kind, value), such as ("CVE", "CVE-2021-44228"): every name of this same vulnerability, and nothing merely related."""
    package: ReportedPackage | None = None
    locations: tuple[ReportedLocation, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """By the source's own names of them. Only ever compared together with the rule and the path."""
    state: str = "open"
    """open, or suppressed where the source itself was told to leave it out. One that is fixed is not reported, but by a source that was
    asked for changes only: then it is `fixed`."""
    url: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """As the source wrote it, without secrets that it may hold."""


@dataclass(frozen=True)
class ReportedRun:
    """A CI run as a source reports it, with TravisTorrent's names where it has them (tr_build_id, tr_status, tr_duration…)."""

    build_id: str
    attempt: int
    status: str
    workflow: str = ""
    branch: str = ""
    commit: str = ""
    event: str = ""
    number: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_seconds: float | None = None
    url: str = ""
    actor: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
