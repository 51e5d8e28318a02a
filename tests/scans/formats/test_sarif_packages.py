"""Scanners of dependencies and of secrets, which SARIF has no words for."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from integrations.contract.reports import ReportedFinding, ReportedPackage
from tests.scans.formats.sarif_kit import one, place, result

pytestmark = pytest.mark.once
SECRET = "hunter2-correct-horse"  # the made-up secret that must not be kept
LOCK = "web/package-lock.json"


def _read(tool: str, rule: dict[str, Any], **fields: Any) -> ReportedFinding:
    return one(result(rule["id"], **{"uri": LOCK, **fields}), rules=[rule], driver={"name": tool})


def test_trivy() -> None:
    text = "Package: lodash\nInstalled Version: 4.17.15\nVulnerability CVE-2019-10744\nSeverity: HIGH\nFixed Version: 4.17.21\nLink: x"
    rule = {"id": "CVE-2019-10744", "name": "LanguageSpecificPackageVulnerability", "properties": {"tags": ["vulnerability", "HIGH"]}}
    found = _read("Trivy", rule, message={"text": text})
    assert found.package == ReportedPackage("npm", "lodash", "4.17.15", "4.17.21", manifest=LOCK)
    assert found.identifiers == (("CVE", "CVE-2019-10744"),)
    several = text.replace("4.17.21", "4.17.21, 3.0.1")
    assert _read("Trivy", rule, message={"text": several}).package.fixed_version == ""
    assert _read("Trivy", {"id": "AVD-1", "name": "Misconfiguration"}, message={"text": text}).package is None
    assert _read("Trivy", {"id": "AVD-1", "name": "Misconfiguration"}).kind == "config"


def test_grype() -> None:
    text = "Vulnerability GHSA-jf85-cpcp-j695\nPackage: lodash\nVersion: 4.17.15\nFix Version: 4.17.21\nType: npm\n"
    rule = {"id": "GHSA-jf85-cpcp-j695-lodash", "help": {"text": text}}
    message = {"text": "The path /p reports lodash at version 4.17.11  which would result in a vulnerable (npm) package installed"}
    found = _read("Grype", rule, message=message, uri="image//p.jar")
    assert found.package == ReportedPackage("npm", "lodash", "4.17.11", "4.17.21", manifest="image/p.jar")
    assert found.identifiers == (("GHSA", "GHSA-jf85-cpcp-j695"),)
    with_purl = rule | {"properties": {"purls": ["pkg:npm/lodash@4.17.15"]}}
    assert _read("Grype", with_purl).package == ReportedPackage("npm", "lodash", "4.17.15", "4.17.21", "", "pkg:npm/lodash@4.17.15", LOCK)


def test_osv_scanner_writes_aliases_as_deprecated_ids() -> None:
    rule = {"id": "CVE-2022-28346", "deprecatedIds": ["GHSA-2gwj-7jmv-h26r", "PYSEC-2022-190", "old name"]}
    text = "Package 'django@3.2.1' is vulnerable to 'CVE-2022-28346' (also known as 'GHSA-2gwj-7jmv-h26r')."
    found = _read("osv-scanner", rule, message={"text": text}, uri="poetry.lock")
    assert found.package == ReportedPackage("pypi", "django", "3.2.1", manifest="poetry.lock")
    assert [name for name, _ in found.identifiers] == ["CVE", "GHSA", "PYSEC"]


def test_snyk_open_source() -> None:
    rule = {
        "id": "SNYK-JS-LODASH-567746",
        "help": {"text": "", "markdown": "* Package Manager: npm\n* Vulnerable module: lodash\n"},
        "properties": {"tags": ["security", "CWE-400", "npm"], "cvssv3_baseScore": 6.3, "security-severity": "6.3"},
    }
    location = place("app.json") | {"logicalLocations": [{"fullyQualifiedName": "@scope/lodash@4.17.15"}]}
    found = _read("Snyk Open Source", rule, locations=[location])
    assert found.package == ReportedPackage("npm", "@scope/lodash", "4.17.15", manifest="app.json")
    assert (found.identifiers, found.severity) == ((("SNYK", "SNYK-JS-LODASH-567746"),), "6.3")


def test_dependency_check() -> None:
    location = place("lib/a.jar") | {"logicalLocations": [{"fullyQualifiedName": "pkg:maven/org.acme/a@1.0"}]}
    properties = {"cvssv3_baseScore": 6.1, "source": "NVD", "cvssV3Vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"}
    found = _read("dependency-check", {"id": "CVE-2015-9251"}, level="error", locations=[location], properties=properties)
    assert (found.severity, found.severity_origin, len(found.cvss)) == ("6.1", "cvssv3_baseScore", 1)
    assert _read("dependency-check", {"id": "CVE-2015-9251"}).kind == found.kind == "dependency"
    assert found.package.name == "org.acme:a"


def test_any_tool_may_name_a_purl() -> None:
    found = _read("Acme", {"id": "A1"}, properties={"purl": "pkg:golang/golang.org/x/net@v0.1.0"})
    assert found.package == ReportedPackage("golang", "golang.org/x/net", "v0.1.0", "", "", "pkg:golang/golang.org/x/net@v0.1.0", LOCK)
    assert _read("Acme", {"id": "A1"}, properties={"purl": ["x"]}).package is None
    assert _read("Acme", {"id": "A1"}, message={"text": "Package: a\nInstalled Version: 1"}).package is None


@pytest.mark.parametrize(
    ("tool", "rule", "kind"),
    [
        ("gitleaks", {"id": "generic-api-key"}, "secret"),
        ("Trivy", {"id": "aws-key", "name": "Secret"}, "secret"),
        ("Acme", {"id": "x", "properties": {"tags": ["Secrets"]}}, "secret"),
        ("CodeQL", {"id": "py/x", "properties": {"tags": ["external/cwe/cwe-798"]}}, ""),
        ("Bandit", {"id": "B105", "name": "hardcoded_password_string"}, ""),
    ],
)
def test_secrets_are_not_kept(tool: str, rule: dict[str, Any], kind: str) -> None:
    region = {"startLine": 1, "snippet": {"text": f"password = '{SECRET}'"}}
    location = place("a.py", region)
    location["physicalLocation"]["contextRegion"] = region
    found = _read(
        tool,
        rule,
        locations=[location],
        message={"text": f"Possible hardcoded password: '{SECRET}'"},
        properties={"Match": SECRET, "note": f"token={SECRET}"},
        codeFlows=[{"locations": [location]}],
        partialFingerprints={"commitMessage": SECRET},
    )
    assert found.kind == kind
    assert SECRET not in repr(found) + orjson.dumps(found.raw).decode() + found.locations[0].snippet
    assert found.raw["locations"][0]["physicalLocation"]["region"]["startLine"] == 1
