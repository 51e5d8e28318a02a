"""Files with GitHub's answers."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from integrations.contract.reports import ReportedFinding
from scans.formats.base import Problem, Section
from scans.formats.detect import detect
from scans.formats.github import GitHubAlerts
from tests.scans.formats.reports_kit import as_source, problems, read, sections

pytestmark = pytest.mark.once
API = "https://api.github.com/repos/acme/web"


def code(number: int, **fields: Any) -> dict[str, Any]:
    tool = {"name": "CodeQL command-line toolchain", "version": "2.1"}
    instance = {"category": "/language:go", "location": {"path": "a.go"}}
    alert = {"number": number, "state": "open", "rule": {"id": "go/x"}, "tool": tool, "most_recent_instance": instance}
    return alert | {"url": f"{API}/code-scanning/alerts/{number}"} | fields


def secret(**fields: Any) -> dict[str, Any]:
    return {"number": 1, "state": "open", "secret_type": "acme_key", "secret": "abc", "url": f"{API}/secret-scanning/alerts/1"} | fields


@pytest.mark.parametrize("wrap", [lambda alerts: alerts, lambda alerts: [alerts], lambda alerts: [[one] for one in alerts]])
def test_lists_and_pages_of_them(wrap: Any) -> None:
    items = read(wrap([code(1), code(2, state="fixed"), secret()]))
    assert items[0] == Section("codeql", "2.1", "/language:go")
    assert items[2] == Section("github-secret-scanning")
    assert [item.source_id for item in items if isinstance(item, ReportedFinding)] == ["1", "1"]


def test_one_alone() -> None:
    assert [type(item) for item in read(code(5))] == [Section, ReportedFinding]


def test_a_tool_whose_alerts_are_all_fixed_has_a_section() -> None:
    assert read([code(1, state="fixed")]) == sections([code(1)])


def test_alerts_of_several_repositories() -> None:
    other = code(2, url="https://api.github.com/repos/acme/other/code-scanning/alerts/2")
    (problem,) = problems([code(1), other, code(3, repository={"full_name": "Acme/Web"})])
    assert problem.where == "[1]"
    assert "acme/other" in problem.sentence


def test_what_can_not_be_used() -> None:
    assert [item.where for item in read([code(1), 7, {"number": 1}, None]) if isinstance(item, Problem)] == ["[1]", "[2]", "[3]"]


@pytest.mark.parametrize(
    "document", [[], [[]], {"message": "Bad credentials"}, [{"number": 1, "title": "an issue"}], {"workflow_runs": [{}]}]
)
def test_what_is_something_else(document: Any) -> None:
    with pytest.raises(InvalidInput):
        detect(as_source(document))


def test_recognised_by_the_first_alert() -> None:
    assert detect(as_source([secret()])) is GitHubAlerts
