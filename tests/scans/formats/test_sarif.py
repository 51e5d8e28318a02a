"""SARIF's traps: what a result is, and what it refers to."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import InvalidInput
from scans.formats.base import Section
from scans.formats.detect import detect
from scans.formats.sarif.report import Sarif
from scans.ingest.reading import read_report
from tests.scans.formats.reports_kit import as_source, findings, large, problems, read, sections
from tests.scans.formats.sarif_kit import one, place, report, result

pytestmark = pytest.mark.once
SHORT = {"shortDescription": {"text": "Thing is bad"}}


def test_a_whole_result() -> None:
    rule = {
        "id": "py/bad",
        **SHORT,
        "fullDescription": {"text": "Long."},
        "helpUri": "https://lint.example/bad",
        "properties": {"security-severity": "8.1", "tags": ["security", "external/cwe/cwe-079", "external/cwe/cwe-116"]},
    }
    region = {"startLine": 3, "endLine": 5, "snippet": {"text": "x()"}}
    found = one(
        result(
            "py/bad",
            None,
            ruleIndex=0,
            locations=[place("src/a.py", region), place("src/b.py", {"startLine": 9})],
            message={"text": "[x](1) reaches [y](2)."},
            partialFingerprints={"primaryLocationLineHash": "39fa2ee980eb94b0:1", "primaryLocationStartColumnFingerprint": "12345678"},
            provenance={"firstDetectionTimeUtc": "2026-01-02T03:04:05Z"},
        ),
        rules=[rule],
    )
    assert (found.rule, found.title, found.description) == ("py/bad", "Thing is bad", "x reaches y.")
    assert (found.severity, found.severity_origin, found.cwe) == ("8.1", "security-severity", ("CWE-79", "CWE-116"))
    assert [(at.path, at.line, at.end_line, at.snippet) for at in found.locations] == [
        ("src/a.py", 3, 5, "x()"),
        ("src/b.py", 9, None, ""),
    ]
    assert found.fingerprints == {"primaryLocationLineHash": "39fa2ee980eb94b0:1"}
    assert found.url == "https://lint.example/bad"
    assert found.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert found.state == "open"
    assert found.raw["ruleIndex"] == 0


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"rule": {"index": 1, "toolComponent": {"index": 0}}, "ruleId": None}, "E2"),
        ({"rule": {"index": 1, "toolComponent": {"index": 0}}, "ruleId": "E2/case"}, "E2/case"),
        ({"rule": {"id": "E2", "toolComponent": {"name": "pack"}}, "ruleId": None}, "E2"),
        ({"rule": {"guid": "g-2"}, "ruleId": None}, "E2"),
        ({"ruleId": "E2"}, "E2"),
        ({"ruleId": "E2", "ruleIndex": 0}, "E2"),  # an index of another list than the driver's
        ({"ruleId": "E2/a/b"}, "E2/a/b"),
    ],
)
def test_rules_of_extensions(fields: dict[str, Any], rule: str) -> None:
    extensions = [
        {"name": "pack", "rules": [{"id": "E1"}, {"id": "E2", "guid": "g-2", **SHORT, "defaultConfiguration": {"level": "error"}}]}
    ]
    found = one(result(**fields), rules=[{"id": "A1"}], extensions=extensions)
    assert (found.rule, found.title, found.severity) == (rule, "Thing is bad", "error")


def test_a_rule_by_its_index_alone() -> None:
    found = one(result(None, ruleIndex=1), rules=[{"id": "A0"}, {"id": "A1", **SHORT}])
    assert (found.rule, found.title) == ("A1", "Thing is bad")


@pytest.mark.parametrize("index", [-1, 7, "1", None, True, 1.5])
def test_an_index_that_leads_nowhere(index: Any) -> None:
    assert one(result("A9", ruleIndex=index), rules=[{"id": "A0", **SHORT}]).title == "Bad thing."


@pytest.mark.parametrize(
    ("fields", "rule", "expected"),
    [
        ({}, {}, ("warning", "level")),
        ({"level": None}, {"defaultConfiguration": {"level": "note"}}, ("note", "defaultConfiguration.level")),
        ({"level": "error"}, {"defaultConfiguration": {"level": "note"}}, ("error", "level")),
        ({"level": "blocker"}, {}, ("blocker", "level")),
        ({"level": "error"}, {"properties": {"security-severity": "High"}}, ("High", "security-severity")),
        ({"level": "error"}, {"properties": {"security-severity": 4.3}}, ("4.3", "security-severity")),
        ({"level": "error"}, {"properties": {"security-severity": "0.0"}}, ("error", "level")),
        ({"level": "error"}, {"properties": {"security-severity": "11"}}, ("error", "level")),
        ({"properties": {"security-severity": "9.9"}}, {"properties": {"security-severity": "5"}}, ("9.9", "security-severity")),
        ({"level": "error", "properties": {"severity": "LOW"}}, {}, ("LOW", "severity")),
        ({"level": "error", "properties": {"severity": "7"}}, {}, ("error", "level")),
    ],
)
def test_severity(fields: dict[str, Any], rule: dict[str, Any], expected: tuple[str, str]) -> None:
    found = one(result(**fields), rules=[{"id": "A1", **rule}])
    assert (found.severity, found.severity_origin) == expected


def test_a_level_that_the_tool_was_told() -> None:
    override = {"descriptor": {"index": 0}, "configuration": {"level": "error"}}
    rules = [{"id": "A1", "defaultConfiguration": {"level": "note"}}]
    assert one(result(), rules=rules, invocations=[{"ruleConfigurationOverrides": [override]}]).severity == "error"


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({}, {"properties": {"tags": ["external/cwe/cwe-079"]}}),
        ({}, {"properties": {"tags": ["CWE-79: Cross-site scripting"]}}),
        ({}, {"properties": {"cwe": ["CWE-79"]}}),
        ({}, {"properties": {"cwe": 79}}),
        ({}, {"relationships": [{"target": {"id": "CWE-79"}}]}),
        ({}, {"relationships": [{"target": {"id": "79", "toolComponent": {"name": "cwe"}}}, {"target": {"id": "80"}}]}),
        ({"taxa": [{"id": "79", "toolComponent": {"name": "CWE"}}, None]}, {}),
        ({"properties": {"cwe": "CWE-79: Cross-site scripting"}}, {}),
        ({"properties": {"tags": ["cwe:79", "owasp-2021", 4]}}, {}),
    ],
)
def test_weaknesses(fields: dict[str, Any], rule: dict[str, Any]) -> None:
    assert one(result(**fields), rules=[{"id": "A1", **rule}]).cwe == ("CWE-79",)


@pytest.mark.parametrize("fields", [{"kind": "pass"}, {"kind": "review"}, {"kind": "notApplicable"}, {"baselineState": "absent"}])
def test_what_is_no_finding(fields: dict[str, Any]) -> None:
    assert findings(report(result(**fields))) == []


@pytest.mark.parametrize(
    ("suppressions", "state"),
    [
        (None, "open"),
        ([], "open"),
        ([None], "open"),
        ([{"kind": "inSource"}], "suppressed"),
        ([{"kind": "external", "status": "accepted"}], "suppressed"),
        ([{"kind": "external", "status": None}], "suppressed"),
        ([{"kind": "external", "status": "underReview"}], "open"),
        ([{"kind": "external", "status": "rejected"}], "open"),
        ([{"status": "accepted"}, {"status": "rejected"}], "open"),
    ],
)
def test_suppressions(suppressions: Any, state: str) -> None:
    assert one(result(suppressions=suppressions)).state == state


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"fingerprints": {"0": "aaaaaaaa", "1": "bbbbbbbb", "identity": "cccccccc"}}, {"identity": "cccccccc"}),
        ({"fingerprints": {"matchBasedId/v1": "requires login"}}, {}),
        ({"fingerprints": {"0": None, "1": {"x": 1}, "2": 7, "3": "17"}}, {}),
        ({"partialFingerprints": {"scanFileHash": "1234567890", "commitSha": "1234567890", "email": "a@b.example"}}, {}),
        ({"fingerprints": {"h/v1": "12345678"}, "partialFingerprints": {"p": "87654321"}}, {"h/v1": "12345678", "p": "87654321"}),
        ({"fingerprints": ["12345678"], "partialFingerprints": None}, {}),
    ],
)
def test_fingerprints(given: dict[str, Any], kept: dict[str, str]) -> None:
    assert one(result(**given)).fingerprints == kept


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"id": "default", "arguments": ["x", 4]}, "x is 4 of {2}, {really}."),
        ({"id": "global"}, "From the tool."),
        ({"text": "{0} is here.", "arguments": ["x"]}, "x is here."),
        ({"text": "{0} stays."}, "{0} stays."),
        ({"text": None, "markdown": "*bold*"}, "*bold*"),
        ("plain", "plain"),
        (None, "The whole rule."),
    ],
)
def test_messages(message: Any, text: str) -> None:
    strings = {"default": {"text": "{0} is {1} of {2}, {{really}}."}}
    rules = [{"id": "A1", "fullDescription": {"text": "The whole rule."}, "messageStrings": strings}]
    driver = {"globalMessageStrings": {"global": {"text": "From the tool."}}}
    assert one(result(message=message), rules=rules, driver=driver).description == text


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({"automationDetails": {"id": "nightly/linux/2026-01-01"}}, Section("acme-lint", "", "nightly/linux")),
        ({"automationDetails": {"id": "/language:python/"}}, Section("acme-lint", "", "/language:python")),
        ({"automationDetails": {"id": "only a run"}}, Section("acme-lint")),
        (
            {"properties": {"imageName": "registry.example:5000/a/web:1.2@sha256:00"}},
            Section("acme-lint", "", "image:registry.example:5000/a/web"),
        ),
        ({"tool": {"driver": {"name": "Semgrep OSS", "semanticVersion": "1.2", "version": "x"}}}, Section("semgrep", "1.2")),
        ({"tool": {"driver": {"name": None}}}, Section("unnamed")),
        ({"tool": None}, Section("unnamed")),
    ],
)
def test_a_run_without_results_has_a_section(run: dict[str, Any], expected: Section) -> None:
    assert read(report(**run)) == [expected]


def test_runs_of_several_tools() -> None:
    first, second = report(result("A1"), result("A2"))["runs"][0], report(driver={"name": "Other"})["runs"][0]
    third = report(result("A3"), driver={"name": "Third"})["runs"][0]
    document = {"runs": [first, second, third], "$schema": "https://json.schemastore.org/sarif-2.1.0.json"}
    said = [item.tool if isinstance(item, Section) else getattr(item, "rule", "") for item in read(document)]
    assert said == ["acme-lint", "A1", "A2", "other", "third", "A3"]


@pytest.mark.parametrize(
    ("run", "where", "words"),
    [
        ({"results": None}, "runs[1].results", "is null"),
        ({"results": 42}, "runs[1].results", "is no list"),
        ({"results": [result(), 7]}, "runs[1].results[1]", "no object"),
        ({"externalPropertyFileReferences": {"results": [{}]}}, "runs[1].results", "another file"),
        (
            {"invocations": [{}, {"executionSuccessful": False, "exitCodeDescription": "Out of memory."}]},
            "runs[1].invocations[1]",
            "end: Out of memory.",
        ),
    ],
)
def test_what_makes_a_report_partial(run: dict[str, Any], where: str, words: str) -> None:
    (problem,) = problems({"version": "2.1.0", "runs": [report(result("A1"))["runs"][0], report(**run)["runs"][0]]})
    assert problem.where == where
    assert words in problem.sentence


def test_a_run_that_says_nothing_about_results() -> None:
    document = report()
    del document["runs"][0]["results"]
    sound = report(result())["runs"][0]
    assert problems({"version": "2.1.0", "runs": [None, *document["runs"], sound]})[1].where == "runs[1].results"


@pytest.mark.parametrize("run", [{"results": 42}, {"invocations": [{"executionSuccessful": False}]}])
def test_a_tool_that_crashed_is_not_one_that_found_nothing(run: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"^Nothing of the report can be used: "):
        read_report(read(report(**run)), uuid.uuid4())


@pytest.mark.parametrize(
    "document", [{"version": "2.1.0", "runs": None}, {"version": "2.1.0", "runs": {}}, {"$schema": "sarif", "runs": 1}]
)
def test_a_report_without_runs(document: Any) -> None:
    with pytest.raises(InvalidInput, match="no list of runs"):
        read(document)


def test_an_old_report() -> None:
    with pytest.raises(InvalidInput, match=r"SARIF 1\.0\.0; let the tool write"):
        read({"version": "1.0.0", "$schema": "https://sarif.example/1.0.0", "runs": []})


@pytest.mark.parametrize("document", [{"runs": []}, {"runs": [{"tool": "x"}]}, [{"version": "2.1.0", "runs": []}], {"version": "2.1.0"}])
def test_what_is_merely_like_it(document: Any) -> None:
    with pytest.raises(InvalidInput) as raised:
        detect(as_source(document))
    assert raised.value.code == "unknown_format"
    assert "/api/v1/inventories/upload" in raised.value.message, "a lock file belongs there"


def test_a_report_that_breaks_off() -> None:
    whole = b'{"version":"2.1.0","runs":[{"results":[{"ruleId":"A1"},{"ruleId":"A2"'
    with pytest.raises(InvalidInput, match="breaks off"):
        large(whole, Sarif)


def test_what_stands_before_the_version() -> None:
    assert detect(as_source({"runs": [{"tool": {"driver": {}}}], "version": "2.1.0"})) is Sarif
    assert sections(b"\xef\xbb\xbf" + b'{"version": "2.1.0", "runs": [{"results": [ ], "tool": {}}]} ') == [Section("unnamed")]
