"""Which format a report is of."""

from __future__ import annotations

from core.errors import InvalidInput
from scans.formats.bandit import Bandit
from scans.formats.base import HEAD_EVENTS, Format, Head
from scans.formats.checkov import Checkov
from scans.formats.cyclonedx import CycloneDX
from scans.formats.github import GitHubAlerts
from scans.formats.gitleaks import Gitleaks
from scans.formats.grype import Grype
from scans.formats.npm_audit import NpmAudit
from scans.formats.osv_scanner import OsvScanner
from scans.formats.pip_audit import PipAudit
from scans.formats.sarif.report import Sarif
from scans.formats.semgrep import Semgrep
from scans.formats.snyk_cli import SnykCli
from scans.formats.snyk_rest import SnykIssues
from scans.formats.source import Source
from scans.formats.trivy import Trivy

FORMATS: tuple[type[Format], ...] = (
    Sarif,
    GitHubAlerts,
    CycloneDX,
    SnykCli,
    SnykIssues,
    Semgrep,
    Trivy,
    Grype,
    Bandit,
    Gitleaks,
    NpmAudit,
    PipAudit,
    OsvScanner,
    Checkov,
)
"""Every format, the more telling first: adding one means a module and a line here."""
_SHOWN_NAMES = 12


def detect(source: Source) -> type[Format]:
    """Return the format of a report; raises InvalidInput for one that is no JSON, or of no known format, saying what was recognised."""
    head = Head(source.beginning(HEAD_EVENTS))
    for one in FORMATS:
        if one.recognises(head):
            return one
    known = ", ".join(one.title for one in FORMATS)
    sentence = f"The report is of no format that is read here: {_seen(head)}. Read are: {known}."
    raise InvalidInput(f"{sentence} Lock files and SBOMs are taken by POST /api/v1/inventories/upload.", code="unknown_format")


def find(key: str) -> type[Format]:
    """Return the format with this key; raises InvalidInput."""
    for one in FORMATS:
        if one.key == key:
            return one
    raise InvalidInput.of("report_format", f"must be one of {', '.join(one.key for one in FORMATS)}.")


def _seen(head: Head) -> str:
    if not head.object:
        return f"it is JSON, a {'list' if head.is_list else type(head.document).__name__} without objects"
    names = ", ".join(ascii(name)[1:-1][:40] for name in list(head.object)[:_SHOWN_NAMES])
    return f"it is JSON, {'a list of objects' if head.is_list else 'an object'} with the names {names}"
