"""Bills of materials with vulnerabilities."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from core.errors import InvalidInput
from integrations.contract.reports import ReportedFinding, ReportedPackage
from scans.formats.base import Section
from scans.formats.cyclonedx import CycloneDX
from scans.formats.cyclonedx_vulnerability import MOST_AFFECTED
from tests.scans.formats.reports_kit import findings, problems, read

pytestmark = pytest.mark.once
PURL = "pkg:maven/org.acme/core@1.2"
V31 = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def bill(*vulnerabilities: Any, **parts: Any) -> dict[str, Any]:
    # components may stand behind what points to them
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "vulnerabilities": list(vulnerabilities), **parts}


def vulnerability(*refs: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "CVE-2026-1", "affects": [{"ref": ref} for ref in refs or ("c1",)]} | fields


def one(*arguments: Any, **parts: Any) -> ReportedFinding:
    components = [{"bom-ref": "c1", "type": "library", "purl": PURL}]
    (found,) = findings(bill(vulnerability(*arguments, **parts), components=components))
    return found


def test_a_whole_vulnerability() -> None:
    found = one(
        source={"name": "GHSA", "url": "https://advisories.example/1"},
        references=[{"id": "GHSA-aaaa-bbbb-cccc"}, {"id": None}, {"id": "RHSA-2026:1"}, 1],
        ratings=[
            {"source": {"name": "other"}, "severity": "low"},
            {"source": {"name": "ghsa"}, "severity": "high", "score": 9.8, "method": "CVSSv31", "vector": V31},
        ],
        cwes=[79, "80", True, 89],
        description="First line.\nMore.",
        recommendation="Upgrade core to version 1.3",
        published="2026-01-01T00:00:00Z",
    )
    assert found.package == ReportedPackage("maven", "org.acme:core", "1.2", "1.3", "", PURL)
    assert (found.title, found.severity, found.cvss) == ("First line.", "high", (f"CVSS:3.1/{V31}",))
    assert (found.cwe, found.url) == (("CWE-79", "CWE-89"), "https://advisories.example/1")
    assert found.identifiers == (("CVE", "CVE-2026-1"), ("GHSA", "GHSA-aaaa-bbbb-cccc"))
    assert orjson.loads(orjson.dumps(found.raw))["affects"] == [{"ref": "c1"}]


def test_components_in_components_and_of_other_files() -> None:
    nested = {
        "name": "app",
        "components": [{"name": "mid", "components": [{"bom-ref": "deep", "group": "g", "name": "n", "version": "3"}]}],
    }
    refs = ("deep", "root", "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#pkg%3Anpm%2Fa%402", "elsewhere")
    components = [None, nested]
    found = findings(bill(vulnerability(*refs), components=components, metadata={"component": {"bom-ref": "root", "name": "top"}}))
    packages = [(each.package.name, each.package.version, each.package.ecosystem) for each in found if each.package]
    assert packages == [("g/n", "3", ""), ("top", "", ""), ("a", "2", "npm"), ("elsewhere", "", "")]


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"analysis": {"state": "exploitable"}}, "open"),
        ({"analysis": {"state": "in_triage"}}, "open"),
        ({"analysis": None}, "open"),
        ({"analysis": {"state": "not_affected"}}, "suppressed"),
        ({"analysis": {"state": "false_positive"}}, "suppressed"),
        ({"affects": [{"ref": "c1", "versions": [{"version": "1.2", "status": "unaffected"}]}]}, "suppressed"),
        ({"analysis": {"state": "resolved"}}, None),
        ({"analysis": {"state": "resolved_with_pedigree"}}, None),
        ({"rejected": "2026-01-01T00:00:00Z"}, None),
    ],
)
def test_states(fields: dict[str, Any], state: str | None) -> None:
    found = findings(bill(vulnerability(**fields), components=[]))
    assert [each.state for each in found] == ([] if state is None else [state])


@pytest.mark.parametrize(
    ("ratings", "severity"),
    [
        ([{"severity": "unknown"}, {"score": 5.5, "method": "CVSSv3"}], "5.5"),
        ([{"severity": "none", "score": 0}], "none"),
        ([{"severity": "unknown"}], "unknown"),
        ([{"score": 5.5, "method": "OWASP"}], ""),
        ([None, {"score": "x"}], ""),
        (None, ""),
    ],
)
def test_severity(ratings: Any, severity: str) -> None:
    assert one(ratings=ratings).severity == severity


def test_versions() -> None:
    versions = [{"version": "1.0"}, {"range": "vers:npm/<2"}, {"version": "2.0", "status": "unaffected"}]
    found = one(affects=[{"ref": "elsewhere", "versions": versions}], recommendation="Upgrade x to version 2.0, 3.1")
    assert found.package == ReportedPackage("", "elsewhere", "1.0", "", "vers:npm/<2")


@pytest.mark.parametrize(
    ("tools", "section"),
    [
        ([{"vendor": "anchore", "name": "syft"}, {"vendor": "anchore", "name": "grype", "version": "0.9"}], Section("grype", "0.9")),
        ({"components": [{"name": "Trivy", "version": "0.50"}]}, Section("trivy", "0.50")),
        ({"components": 3, "services": [{"name": "Acme"}]}, Section("acme")),
        ([None, {}], Section("cyclonedx")),
        (None, Section("cyclonedx")),
    ],
)
def test_tools(tools: Any, section: Section) -> None:
    assert read(bill(metadata={"tools": tools})) == [section]


@pytest.mark.parametrize("missing", [{}, {"vulnerabilities": None}, {"vulnerabilities": {}}])
def test_a_bill_that_says_nothing_about_vulnerabilities(missing: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="without vulnerabilities"):
        read({"bomFormat": "CycloneDX", "components": []} | missing)


@pytest.mark.parametrize("document", [[], {"vulnerabilities": [vulnerability()]}])
def test_what_was_named_so_wrongly(document: Any) -> None:
    with pytest.raises(InvalidInput, match="no CycloneDX"):
        read(document, CycloneDX)


def test_what_can_not_be_used() -> None:
    many = vulnerability(*("c1" for _ in range(MOST_AFFECTED + 2)))
    assert [problem.where for problem in problems(bill(7, {"id": ""}, many))] == [f"vulnerabilities[{number}]" for number in range(3)]


def test_what_many_components_share_is_not_stored_with_each() -> None:
    found = findings(bill(vulnerability(*(f"c{number}" for number in range(500)), ratings=[{"vector": "x" * 200_000}])))
    assert sum(len(orjson.dumps(each.raw)) for each in found) < 100_000
