"""GitHub's alerts and advisories as findings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import InvalidInput
from integrations.connectors.github.alerts import advisory, code_scanning, dependabot, kind_of, reported, secret_scanning
from integrations.contract.reports import ReportedLocation, ReportedPackage

pytestmark = pytest.mark.once
GHSA, CVE = "GHSA-abcd-2345-wxyz", "CVE-2026-1234"
V3, V4 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
ABOUT = {
    "ghsa_id": GHSA,
    "cve_id": CVE,
    "summary": "Acme parses too much",
    "description": "Long.",
    "severity": "high",
    "cvss": {"vector_string": V3, "score": 9.8},
    "cvss_severities": {"cvss_v3": {"vector_string": V3}, "cvss_v4": {"vector_string": V4}},
    "cwes": [{"cwe_id": "CWE-20"}, None],
    "identifiers": [{"type": "GHSA", "value": GHSA}, {"type": "CVE", "value": CVE}, 3],
}


def dependabot_alert(**fields: Any) -> dict[str, Any]:
    alert = {
        "number": 7,
        "state": "open",
        "dependency": {"package": {"ecosystem": "npm", "name": "@acme/parser"}, "manifest_path": "/web/package-lock.json"},
        "security_advisory": ABOUT,
        "security_vulnerability": {
            "severity": "critical",
            "vulnerable_version_range": "< 2.0.1",
            "first_patched_version": {"identifier": "2.0.1"},
        },
        "html_url": "https://github.example/acme/web/security/dependabot/7",
        "created_at": "2026-03-04T05:06:07Z",
        "dismissed_by": {"login": "someone", "email": "x@example.com"},
    }
    return alert | fields


def code_alert(**fields: Any) -> dict[str, Any]:
    alert = {
        "number": 9,
        "state": "open",
        "rule": {"id": "js/zipslip", "severity": "error", "description": "Zip slip", "tags": ["security", "external/cwe/cwe-022"]},
        "tool": {"name": "CodeQL", "version": "2.22.4"},
        "most_recent_instance": {
            "category": "/language:javascript",
            "state": "open",
            "message": {"text": "This path depends on it."},
            "location": {"path": "lib/zip.js", "start_line": 4, "end_line": 5},
        },
    }
    return alert | fields


def secret_alert(**fields: Any) -> dict[str, Any]:
    alert = {
        "number": 2,
        "state": "open",
        "secret_type": "acme_key",
        "secret_type_display_name": "Acme Key",
        "secret": "acme-very-secret",
        "first_location_detected": {"path": "/config/a.yml", "start_line": 3, "end_line": 3},
    }
    return alert | fields


def test_dependabot() -> None:
    found = dependabot(dependabot_alert())
    assert found is not None
    assert found.package == ReportedPackage("npm", "@acme/parser", "", "2.0.1", "< 2.0.1", "", "web/package-lock.json")
    assert (found.title, found.severity, found.state, found.cvss, found.cwe) == (
        "Acme parses too much",
        "critical",
        "open",
        (V4, V3),
        ("CWE-20",),
    )
    assert found.identifiers == (("GHSA", GHSA), ("CVE", CVE))
    assert found.created_at == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert "dismissed_by" not in found.raw


def test_code_scanning() -> None:
    found = code_scanning(code_alert())
    assert found is not None
    assert (found.rule, found.title, found.description) == ("js/zipslip", "Zip slip", "This path depends on it.")
    assert (found.severity, found.severity_origin, found.cwe) == ("error", "rule.severity", ("CWE-22",))
    assert (found.locations, found.fingerprints) == ((ReportedLocation("lib/zip.js", 4, 5),), {"github/alert": "9"})
    graded = code_scanning(code_alert(rule={"id": "x", "severity": "error", "security_severity_level": "critical"}))
    assert graded is not None
    assert graded.severity == "critical"


def test_the_secret_is_not_kept() -> None:
    found = secret_scanning(secret_alert(some_new_field="acme-very-secret"))
    assert found is not None
    assert "acme-very-secret" not in f"{found} {found.raw}"
    assert (found.kind, found.rule, found.title, found.severity) == ("secret", "acme_key", "Acme Key", "")
    assert found.locations == (ReportedLocation("config/a.yml", 3, 3),)


@pytest.mark.parametrize(
    ("alert", "state"),
    [
        (dependabot_alert(state="dismissed"), "suppressed"),
        (dependabot_alert(state="auto_dismissed"), "suppressed"),
        (dependabot_alert(state="fixed"), None),
        (dependabot_alert(state="something new"), "open"),
        (code_alert(state="dismissed"), "suppressed"),
        (code_alert(state="fixed"), None),
        (code_alert(state=None), "open"),
        (secret_alert(state="resolved", resolution="false_positive"), "suppressed"),
        (secret_alert(state="resolved", resolution=None), "suppressed"),
        (secret_alert(state="resolved", resolution="revoked"), None),
        (ABOUT | {"vulnerabilities": [], "withdrawn_at": "2026-01-01T00:00:00Z"}, None),
        (ABOUT | {"vulnerabilities": [], "state": "closed"}, None),
        (ABOUT | {"vulnerabilities": [], "state": "triage"}, "open"),
    ],
)
def test_states(alert: dict[str, Any], state: str | None) -> None:
    assert [found.state for found in reported(alert)] == ([] if state is None else [state])


def test_an_advisory_is_a_finding_for_each_package() -> None:
    vulnerabilities = [
        {"package": {"ecosystem": "pip", "name": "a"}, "vulnerable_version_range": "< 1.2", "first_patched_version": "1.2"},
        {"package": {"ecosystem": "npm", "name": "b"}, "vulnerable_version_range": "< 3", "patched_versions": ">= 3, 4"},
        {"package": None},
        "x",
    ]
    first, second = advisory(ABOUT | {"vulnerabilities": vulnerabilities})
    assert (first.package, second.package) == (ReportedPackage("pip", "a", "", "1.2", "< 1.2"), ReportedPackage("npm", "b", "", "", "< 3"))
    assert first.identifiers == second.identifiers == (("GHSA", GHSA), ("CVE", CVE))


def test_what_is_shared_by_many_packages_is_not_stored_with_each() -> None:
    vulnerabilities = [{"package": {"ecosystem": "npm", "name": f"p{number}"}} for number in range(2000)]
    found = advisory(ABOUT | {"vulnerabilities": vulnerabilities, "references": ["x" * 200_000]})
    assert len(found) == 500
    assert sum(len(repr(one.raw)) for one in found) < 200_000


@pytest.mark.parametrize(
    "alert",
    [
        {},
        {"number": 1},
        dependabot_alert(dependency=None, security_vulnerability=[]),
        dependabot_alert(security_advisory={}),
        code_alert(rule=7),
        secret_alert(secret_type=None),
        {"ghsa_id": None, "vulnerabilities": None},
    ],
)
def test_what_lacks_the_needed(alert: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        reported(alert)


def test_what_is_no_alert() -> None:
    assert [kind_of(one) for one in (None, [], {}, {"number": 1, "state": "open", "rule": {}}, {"workflow_runs": []})] == [None] * 5
