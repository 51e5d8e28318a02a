"""Whatever stands in a report, reading it ends with findings, problems or a clear error."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput, TooLarge
from integrations.contract.reports import ReportedFinding
from scans.formats.base import Problem, Section
from scans.formats.cyclonedx import CycloneDX
from scans.formats.github import GitHubAlerts
from scans.formats.sarif.report import Sarif
from scans.formats.snyk_rest import SnykIssues
from tests.scans.formats.reports_kit import read
from tests.scans.formats.sarif_kit import place, report, result

pytestmark = pytest.mark.once
SECRET = "s3cr3t-of-the-alert"
RULE = {
    "id": "CVE-2026-1234",
    "guid": "g",
    "name": "LanguageSpecificPackageVulnerability",
    "shortDescription": {"text": "Short"},
    "fullDescription": {"text": "Full"},
    "help": {"text": "Package: a\nVersion: 1\nFix Version: 2\nType: npm"},
    "helpUri": "https://x.example",
    "defaultConfiguration": {"level": "error"},
    "messageStrings": {"default": {"text": "{0}"}},
    "deprecatedIds": ["GHSA-aaaa-bbbb-cccc"],
    "relationships": [{"target": {"id": "79", "toolComponent": {"name": "CWE"}}}],
    "properties": {"tags": ["CWE-79"], "cwe": ["CWE-79"], "security-severity": "7", "purls": ["pkg:npm/a@1"], "cvss": "CVSS:3.1/AV:N"},
}
REGION = {"startLine": 1, "endLine": 2, "snippet": {"text": "x"}}
RESULT = result(
    "CVE-2026-1234",
    ruleIndex=0,
    rule={"id": "CVE-2026-1234", "index": 0, "guid": "g", "toolComponent": {"index": 0, "name": "pack", "guid": "h"}},
    level="error",
    kind="fail",
    baselineState="new",
    message={"id": "default", "arguments": ["x"]},
    locations=[place("a%20b.py", REGION, uriBaseId="SRC", index=0) | {"logicalLocations": [{"fullyQualifiedName": "a@1", "name": "a"}]}],
    analysisTarget={"uri": "file:///x/y"},
    fingerprints={"identity": "12345678"},
    partialFingerprints={"h": "12345678"},
    suppressions=[{"kind": "inSource", "status": "accepted"}],
    taxa=[{"id": "79", "toolComponent": {"name": "CWE"}}],
    properties={"purl": "pkg:npm/a@1", "security-severity": "7", "cwe": "CWE-79", "tags": ["CWE-1"], "cvssv3_baseScore": 7},
    provenance={"firstDetectionTimeUtc": "2026-01-01T00:00:00Z"},
    correlationGuid="c",
)
SARIF = report(
    RESULT,
    rules=[RULE],
    driver={"name": "Trivy", "version": "1", "globalMessageStrings": {"x": {"text": "y"}}},
    extensions=[{"name": "pack", "guid": "h", "rules": [RULE]}],
    automationDetails={"id": "a/b"},
    originalUriBaseIds={"SRC": {"uri": "src/", "uriBaseId": "ROOT"}, "ROOT": {"uri": "file:///x/"}},
    artifacts=[{"location": {"uri": "a.py", "uriBaseId": "SRC"}}],
    versionControlProvenance=[{"mappedTo": {"uri": "file:///x", "uriBaseId": "ROOT"}}],
    invocations=[
        {
            "executionSuccessful": False,
            "exitCodeDescription": "no",
            "toolExecutionNotifications": [{"level": "error", "message": {"text": "no"}}],
            "workingDirectory": {"uri": "file:///x"},
            "ruleConfigurationOverrides": [{"descriptor": {"id": "A", "index": 0}, "configuration": {"level": "note"}}],
        }
    ],
    properties={"imageName": "a:1"},
)
GITHUB = [
    {
        "number": 1,
        "state": "open",
        "dependency": {"package": {"ecosystem": "npm", "name": "a"}, "manifest_path": "a/b"},
        "security_advisory": {"ghsa_id": "G", "cvss": {"vector_string": "CVSS:3.1/x"}, "cwes": [{"cwe_id": "CWE-1"}], "identifiers": [{}]},
        "security_vulnerability": {"severity": "low", "first_patched_version": {"identifier": "1"}},
        "repository": {"full_name": "a/b"},
    },
    {
        "number": 2,
        "rule": {"id": "a", "tags": ["external/cwe/cwe-1"]},
        "tool": {"name": "CodeQL", "version": "1"},
        "most_recent_instance": {"category": "c", "state": "open", "message": {"text": "m"}, "location": {"path": "a", "start_line": 1}},
        "url": "https://api.github.com/repos/a/b/code-scanning/alerts/2",
    },
    {"number": 3, "state": "open", "secret_type": "k", "secret": SECRET, "first_location_detected": {"path": "a", "start_line": 1}},
    {"ghsa_id": "G", "vulnerabilities": [{"package": {"name": "a"}, "first_patched_version": "1"}], "cvss_severities": {"cvss_v4": {}}},
]
CYCLONEDX = {
    "bomFormat": "CycloneDX",
    "metadata": {"tools": {"components": [{"name": "trivy", "version": "1"}]}, "component": {"bom-ref": "r", "name": "n"}},
    "components": [{"bom-ref": "a", "purl": "pkg:npm/a@1", "components": [{"bom-ref": "b", "group": "g", "name": "n", "version": "1"}]}],
    "services": [{"bom-ref": "s", "name": "s"}],
    "vulnerabilities": [
        {
            "id": "CVE-1",
            "source": {"name": "n", "url": "https://x.example"},
            "references": [{"id": "GHSA-1"}],
            "ratings": [{"source": {"name": "n"}, "score": 7, "severity": "high", "method": "CVSSv31", "vector": "AV:N"}],
            "cwes": [79],
            "description": "d",
            "recommendation": "Upgrade a to 2",
            "advisories": [{"url": "https://x.example"}],
            "analysis": {"state": "in_triage"},
            "published": "2026-01-01T00:00:00Z",
            "affects": [{"ref": "a", "versions": [{"version": "1", "range": "r", "status": "affected"}]}, {"ref": "urn:cdx:x/1#b"}],
        }
    ],
}
_ISSUE = {
    "key": "SNYK-DEBIAN11-A-1",
    "key_asset": "k",
    "type": "package_vulnerability",
    "effective_severity_level": "high",
    "status": "open",
    "ignored": True,
    "title": "t",
    "description": "d",
    "created_at": "2026-01-01T00:00:00Z",
    "problems": [{"id": "CVE-2026-1234", "source": "NVD"}, {"id": "SNYK-DEBIAN11-A-1"}],
    "classes": [{"id": "CWE-79", "source": "CWE"}],
    "severities": [{"source": "Snyk", "vector": "CVSS:3.1/AV:N"}],
    "coordinates": [
        {
            "state": "open",
            "remedies": [{"type": "x", "meta": {"data": {"fixed_in": ["a@2"]}}}],
            "representations": [{"dependency": {"package_name": "a", "package_version": "1"}}],
        }
    ],
}
_PLACE = {"sourceLocation": {"file": "a.py", "region": {"start": {"line": 1}, "end": {"line": 2}}}}
SNYK = {
    "jsonapi": {"version": "1.0"},
    "links": {"self": {"href": "/rest/orgs/o/issues?scan_item.id=p"}, "next": ""},
    "data": [
        {"id": "i", "type": "issue", "attributes": _ISSUE, "relationships": {"scan_item": {"data": {"id": "p"}}}},
        {"id": "j", "type": "issue", "attributes": _ISSUE | {"type": "code", "coordinates": [{"representations": [_PLACE]}]}},
    ],
}
DOCUMENTS = [(Sarif, SARIF), (GitHubAlerts, GITHUB), (CycloneDX, CYCLONEDX), (SnykIssues, SNYK)]
WORDS = ["", " ", "\0", "x", "{0}", "a@b", "pkg:", "pkg:npm/", "%zz%", "//", "..", "file:", "C:", "9" * 400, "é\U0001f600"]
LISTS = [[], [None], [[]], [{}], [7, "x", {"id": 1}]]
ODD = st.sampled_from([None, True, 0, -1, 2**31, 2**53, 1.5, 1e300, {}, {"": None}, {"text": []}, *WORDS, *LISTS])


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, item in inner for place in _places(item, (*path, name)))]


def _changed(document: Any, changes: list[tuple[int, Any]]) -> Any:
    document = copy.deepcopy(document)
    for number, odd in changes:
        places = _places(document)[1:]
        if not places:
            break
        *way, last = places[number % len(places)]
        holder = document
        for name in way:
            holder = holder[name]
        holder[last] = copy.deepcopy(odd)
    return document


@pytest.mark.parametrize(("kind", "document"), DOCUMENTS)
def test_the_whole_report_is_read(kind: Any, document: Any) -> None:
    """The report that the other test changes reaches what it is to reach."""
    found = [item for item in read(document, kind) if isinstance(item, ReportedFinding)]
    assert found
    assert any(one.package for one in found)


@pytest.mark.parametrize(("kind", "document"), DOCUMENTS)
@pytest.mark.parametrize("odd", [None, 7, "x", [], [{}], {"x": []}], ids=repr)
def test_each_place_holds_each_kind(kind: Any, document: Any, odd: Any) -> None:
    for number in range(len(_places(document)) - 1):
        _read_and_check(kind, _changed(document, [(number, odd)]))


@pytest.mark.parametrize(("kind", "document"), DOCUMENTS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), ODD), min_size=1, max_size=6))
def test_anything_in_any_place(kind: Any, document: Any, changes: list[tuple[int, Any]]) -> None:
    _read_and_check(kind, _changed(document, changes))


def _read_and_check(kind: Any, document: Any) -> None:
    try:
        items = read(document, kind)
    except (InvalidInput, TooLarge):
        return
    for item in items:
        assert isinstance(item, Section | Problem | ReportedFinding)
        assert SECRET not in f"{item!r} {getattr(item, 'raw', '')}"
        if isinstance(item, ReportedFinding):
            _check(item)


def _check(found: ReportedFinding) -> None:
    """Whatever was read, the words have the kinds that are promised to what comes after."""
    texts = [found.source_id, found.title, found.severity, found.kind, found.rule, found.description, found.severity_origin, found.url]
    texts += [
        *found.cvss,
        *found.cwe,
        *(part for pair in found.identifiers for part in pair),
        *found.fingerprints,
        *found.fingerprints.values(),
    ]
    if found.package:
        texts += [
            getattr(found.package, name)
            for name in ("ecosystem", "name", "version", "fixed_version", "vulnerable_range", "purl", "manifest")
        ]
    for place_ in found.locations:
        texts += [place_.path, place_.snippet]
        assert place_.line is None or (type(place_.line) is int and place_.line > 0)
        assert place_.end_line is None or type(place_.end_line) is int
    assert all(isinstance(text, str) for text in texts)
    assert found.state in {"open", "suppressed"}
    assert isinstance(found.raw, dict)
    assert found.created_at is None or isinstance(found.created_at, datetime)
