"""Files with Snyk's answers."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.contract.reports import ReportedFinding
from scans.formats.base import Problem, Section
from scans.formats.detect import detect
from tests.scans.formats.reports_kit import as_source, read

pytestmark = pytest.mark.once
ASKED = "/rest/orgs/o-1/issues?limit=100&scan_item.id=p-1&scan_item.type=project&version=2024-10-15"
ONE = Section("snyk", category="project:p-1")


def issue(key: str, project: str = "p-1", **said: Any) -> dict[str, Any]:
    coordinates = [{"representations": [{"dependency": {"package_name": "pillow", "package_version": "9.5.0"}}]}]
    known = {"key": key, "type": "package_vulnerability", "effective_severity_level": "high", "status": "open", "coordinates": coordinates}
    relations = {"scan_item": {"data": {"id": project, "type": "project"}}}
    return {"id": f"i-{key}", "type": "issue", "attributes": known | said, "relationships": relations}


def page(*issues: Any, **links: Any) -> dict[str, Any]:
    return {"jsonapi": {"version": "1.0"}, "links": {"self": ASKED, **links}, "data": list(issues)}


def keys(items: list[Any]) -> list[tuple[str, str]]:
    return [(item.rule, item.state) for item in items if isinstance(item, ReportedFinding)]


def test_a_page_and_a_list_of_pages() -> None:
    issues = [issue("SNYK-PYTHON-PILLOW-1", ignored=True), issue("SNYK-PYTHON-PILLOW-2"), issue("SNYK-PYTHON-PILLOW-3", status="resolved")]
    wanted = [("SNYK-PYTHON-PILLOW-1", "suppressed"), ("SNYK-PYTHON-PILLOW-2", "open")]
    whole = page(*issues)
    assert detect(as_source(whole)).key == "snyk_rest"
    for report in (whole, [page(issues[0], next={"href": "/rest/more"}), page(*issues[1:])]):
        items = read(report)
        assert items[0] == ONE
        assert keys(items) == wanted
        assert not [item for item in items if isinstance(item, Problem)]


def test_projects_are_categories_also_one_without_open_issues() -> None:
    assert set(read(page())) == {ONE}
    assert set(read(page(issue("SNYK-PYTHON-PILLOW-3", status="resolved")))) == {ONE}
    several = page(issue("SNYK-PYTHON-PILLOW-1"), issue("SNYK-PYTHON-PILLOW-2", "p-2"))
    several["links"]["self"] = "/rest/orgs/o-1/issues?version=2024-10-15"
    assert [item.category for item in read(several) if isinstance(item, Section)] == ["project:p-1", "project:p-2"]


def test_what_is_missing_is_a_problem() -> None:
    items = read(page(issue("SNYK-PYTHON-PILLOW-1"), {"id": "x"}, 5, next="/rest/more"))
    assert [item.where for item in items if isinstance(item, Problem)] == ["data[1]", "data[2]", "links.next"]
    assert keys(items) == [("SNYK-PYTHON-PILLOW-1", "open")]
