from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.contract.reports import ReportedFinding, ReportedLocation, ReportedPackage
from scans.choices import Kind, Severity
from scans.normal.finding import NormalFinding
from scans.normal.normalise import normalise
from scans.normal.ranges import contains

CODE = ReportedFinding(
    source_id="java/sqli",
    title="SQL injection",
    severity="8.8",
    rule="java/sqli",
    description="This query depends on a user-provided value.",
    severity_origin="security-severity",
    cwe=("external/cwe/cwe-089", "CWE-20"),
    locations=(ReportedLocation("./src\\Main.java", 12, 14, "query(x)"), ReportedLocation("src/Other.java", 3)),
    fingerprints={"primaryLocationLineHash": "39fa2ee980eb94b0:1"},
    url="https://codeql.example/java/sqli",
    raw={"ruleId": "java/sqli", "message": {"text": "This query depends on x."}},
)
DEPENDENCY = ReportedFinding(
    source_id="SNYK-JAVA-ORGAPACHELOGGINGLOG4J-2314720",
    title="Remote Code Execution",
    severity="critical",
    severity_origin="severity",
    cvss=("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H",),
    identifiers=(("CVE", "cve-2021-44228"), ("GHSA", "GHSA-JFH8-C2JP-5V3Q"), ("CWE", "CWE-502")),
    package=ReportedPackage("maven", "org.apache.logging.log4j:log4j-core", "2.14.1", "2.15.0", "[2.0,2.15.0)", manifest="./pom.xml"),
)


def test_a_finding_in_code() -> None:
    assert normalise(CODE, "CodeQL") == NormalFinding(
        kind=Kind.CODE,
        tool="codeql",
        rule="java/sqli",
        title="SQL injection",
        description="This query depends on a user-provided value.",
        severity=Severity.HIGH,
        severity_origin="security-severity 8.8",
        cvss_score=None,
        cvss_vector="",
        cwe=(20, 89),
        identifiers=(),
        ecosystem="",
        package="",
        version="",
        fixed_version="",
        vulnerable_range="",
        purl="",
        manifest="",
        path="src/Main.java",
        line=12,
        end_line=14,
        fingerprint=normalise(CODE, "CodeQL").fingerprint,
        url="https://codeql.example/java/sqli",
        suppressed=False,
        raw='{"ruleId":"java/sqli","message":{"text":"This query depends on x."}}',
    )
    assert normalise(CODE, "CodeQL").fingerprint.startswith("own:")


def test_a_vulnerable_dependency() -> None:
    found = normalise(DEPENDENCY, "snyk")
    assert (found.kind, found.severity, found.cvss_score, found.cwe) == (Kind.DEPENDENCY, Severity.CRITICAL, 10.0, (502,))
    assert found.identifiers == (
        ("CVE", "CVE-2021-44228"),
        ("GHSA", "GHSA-jfh8-c2jp-5v3q"),
        ("SNYK", "SNYK-JAVA-ORGAPACHELOGGINGLOG4J-2314720"),
    )
    assert (found.ecosystem, found.package, found.version) == ("maven", "org.apache.logging.log4j:log4j-core", "2.14.1")
    assert (found.fixed_version, found.vulnerable_range, found.manifest) == ("2.15.0", "[2.0,2.15.0)", "pom.xml")
    assert found.purl == "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"
    assert (found.path, found.line, found.fingerprint, found.rule) == ("", None, "", "SNYK-JAVA-ORGAPACHELOGGINGLOG4J-2314720")


def test_a_range_that_is_cut_off_is_not_taken_for_a_shorter_one() -> None:
    long = " || ".join(f"= 1.0.{patch}" for patch in range(60))
    assert DEPENDENCY.package
    found = normalise(dataclasses.replace(DEPENDENCY, package=dataclasses.replace(DEPENDENCY.package, vulnerable_range=long)), "x")
    assert contains("maven", "1.0.59", long) is True
    assert contains("maven", "1.0.59", found.vulnerable_range) is None


def test_the_fingerprint_knows_nothing_of_words_lines_and_severity() -> None:
    bare = dataclasses.replace(CODE, fingerprints={}, locations=(ReportedLocation("src/Main.java", 12, 14),))
    reworded = dataclasses.replace(
        bare, title="Injection!", description="Reworded.", severity="low", locations=(ReportedLocation("src/Main.java", 40),)
    )
    assert normalise(bare, "codeql").fingerprint == normalise(reworded, "codeql").fingerprint != ""
    assert normalise(dataclasses.replace(bare, raw={}), "codeql").fingerprint == ""


@pytest.mark.parametrize(
    ("changes", "tool", "kind"),
    [
        ({}, "x", Kind.CODE),
        ({"kind": "secret_scanning"}, "x", Kind.SECRET),
        ({}, "Gitleaks", Kind.SECRET),
        ({"kind": "code"}, "Gitleaks", Kind.CODE),
        ({}, "checkov", Kind.CONFIG),
        ({"kind": "Misconfiguration", "package": ReportedPackage("npm", "a")}, "x", Kind.CONFIG),
        ({"kind": "license", "package": ReportedPackage("npm", "a")}, "x", Kind.LICENSE),
        ({"kind": "code", "package": ReportedPackage("npm", "a")}, "x", Kind.DEPENDENCY),
        ({"kind": "odd", "package": ReportedPackage("", "", purl="pkg:npm/a@1")}, "x", Kind.DEPENDENCY),
        ({"package": ReportedPackage("npm", " ")}, "x", Kind.CODE),
        ({"kind": "container", "locations": ()}, "x", Kind.DEPENDENCY),
        ({"locations": ()}, "x", Kind.CODE),
    ],
)
def test_kinds(changes: dict[str, Any], tool: str, kind: Kind) -> None:
    assert normalise(dataclasses.replace(CODE, **changes), tool).kind == kind


def test_a_secret_in_a_title_is_masked() -> None:
    found = normalise(
        dataclasses.replace(CODE, title="Possible hardcoded password: 's3cret!'", description="token=abcdefgh12345678"), "bandit"
    )
    assert "s3cret" not in found.title + repr(found)
    assert "abcdefgh" not in found.description


@pytest.mark.parametrize(
    ("url", "kept"), [("javascript:alert(1)", ""), ("https://x.example/a b", ""), ("https://x.example/a", "https://x.example/a")]
)
def test_only_links_that_can_be_followed_are_kept(url: str, kept: str) -> None:
    assert normalise(dataclasses.replace(CODE, url=url), "x").url == kept


TEXT = st.text() | st.sampled_from(
    ["\0\ud800", "x" * 30_000, "..\\..", "CVE-2021-1234", "GHSA-aaaa-bbbb-cccc", "CWE-79", "pkg:npm/a@1", "npm", "high", "open"]
)
TEXTS = st.lists(TEXT, max_size=4).map(tuple)
LINE = st.none() | st.integers()
FINDINGS = st.builds(
    ReportedFinding,
    source_id=TEXT, title=TEXT, severity=TEXT, kind=TEXT, rule=TEXT, description=TEXT, severity_origin=TEXT, cvss=TEXTS, cwe=TEXTS,
    identifiers=st.lists(st.tuples(TEXT, TEXT), max_size=4).map(tuple),
    package=st.none() | st.builds(ReportedPackage, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT),
    locations=st.lists(st.builds(ReportedLocation, TEXT, LINE, LINE, TEXT), max_size=2).map(tuple),
    fingerprints=st.dictionaries(TEXT, TEXT, max_size=3),
    state=TEXT, url=TEXT, created_at=st.none() | st.just(datetime(2026, 1, 1, tzinfo=UTC)),
    raw=st.dictionaries(TEXT, TEXT | st.lists(TEXT, max_size=3) | st.floats() | st.dictionaries(TEXT, TEXT, max_size=3), max_size=4),
)  # fmt: skip
LIMITS = {
    "tool": 60, "rule": 300, "title": 500, "description": 10_000, "severity_origin": 200, "cvss_vector": 200, "ecosystem": 40,
    "package": 300, "version": 200, "fixed_version": 200, "vulnerable_range": 500, "purl": 700, "manifest": 1_000, "path": 1_000,
    "fingerprint": 40, "url": 2_000, "raw": 16_384,
}  # fmt: skip


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(FINDINGS, TEXT)
def test_whatever_is_reported_can_be_stored(reported: ReportedFinding, tool: str) -> None:
    found = normalise(reported, tool)
    assert normalise(dataclasses.replace(reported, identifiers=reported.identifiers[::-1], cwe=reported.cwe[::-1]), tool) == found
    for name, limit in LIMITS.items():
        value = getattr(found, name)
        assert len(value) <= limit, name
        assert "\0" not in value, name
        value.encode()
    assert all(len(kind) <= 20 and 0 < len(value) <= 150 for kind, value in found.identifiers)
    assert found.line is None or 0 < found.line <= (found.end_line or found.line) < 2**31
    assert not {"..", ".", ""} & set(found.path.split("/")) or found.path == ""
    assert isinstance(json.loads(found.raw), dict)
    assert found.title or not found.rule
