"""What a finding is after normalising, whatever its scanner called it."""

from __future__ import annotations

from typing import NamedTuple

from scans.choices import Kind, Severity
from scans.normal.kept import Unmasked


class NormalFinding(NamedTuple):
    """One finding of one report. Texts can be stored as they are: bounded, without NUL and lone surrogates."""

    kind: Kind
    tool: str
    rule: str
    """The scanner's rule or vulnerability id, as it writes it."""
    title: str
    severity: Severity
    severity_origin: str
    """The field and word that the severity comes from, such as `security-severity 7.5` or `cvss 9.8`."""
    cvss_score: float | None
    cvss_vector: str
    cwe: tuple[int, ...]
    """Sorted, each once."""
    identifiers: tuple[tuple[str, str], ...]
    """(kind, value), sorted, each once: CVE, GHSA, SNYK, OSV kinds such as PYSEC, RUSTSEC, GO."""
    ecosystem: str
    """purl type (npm, pypi, maven, golang, …), empty for what is no dependency."""
    package: str
    """Name in the ecosystem's canonical spelling, with its namespace: @babel/core, org.apache.logging.log4j:log4j-core."""
    version: str
    fixed_version: str
    vulnerable_range: str
    purl: str
    manifest: str
    url: str
    suppressed: bool
    description: str
    path: str
    line: int | None
    end_line: int | None
    fingerprint: str
    """Names the place stably: the scanner's own or, without one, a hash of the code or message there. Never without rule and path."""
    raw: str | Unmasked
    """JSON of what the scanner wrote, cut off beyond a size."""

    def __repr__(self) -> str:
        return f"<{self.kind} {self.rule} {self.package or self.path}>"
