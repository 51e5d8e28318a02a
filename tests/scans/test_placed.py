"""Which findings are marked on their lines: those that count, of this repository's scan, the worst first."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from integrations.findings import FindingsQuery, placed_findings
from scans.models import Finding, Scan
from tests.scans.kit import code, ingest, repository, vulnerable

pytestmark = pytest.mark.django_db


def marked(**more: Any) -> list[str]:
    """Return the places of the findings that are marked for the last scan."""
    values = {"provider": "github", "repository": "acme/shop", "scan_id": str(Scan.objects.latest("id").id)} | more
    return [f"{one.severity} {one.path}:{one.line}" for one in placed_findings(FindingsQuery(**values))]


def found(name: str, **more: Any) -> Any:
    return code(name, f"src/{name}.py", mark=f"{abs(hash(name)):016x}"[:16], **more)


def test_what_counts_on_a_line_is_marked_the_worst_first() -> None:
    shop = repository()
    ingest(shop, "semgrep", [found("a", severity="low"), found("b", severity="critical"), found("c"), found("d"), vulnerable("CVE-2026-1")])
    Finding.objects.filter(path="src/d.py").update(triage="ignored")
    assert marked() == ["critical src/b.py:7", "high src/c.py:7", "low src/a.py:7"]
    assert marked(limit=2) == ["critical src/b.py:7", "high src/c.py:7"]
    [first] = placed_findings(FindingsQuery("github", "acme/shop", str(Scan.objects.latest("id").id), limit=1))
    assert (first.title, first.rule, first.finding_id) == ("b here", "b", str(Finding.objects.get(path="src/b.py").id))
    assert first.url.endswith(f"/admin/scans/finding/{first.finding_id}/change/")


def test_of_a_branch_the_new_ones_are_marked_unless_all_are_asked_for() -> None:
    shop = repository()
    ingest(shop, "semgrep", [found("old")])
    ingest(shop, "semgrep", [found("old"), found("new")], ref="topic")
    assert marked() == ["high src/new.py:7"]
    assert sorted(marked(only_new=False)) == ["high src/new.py:7", "high src/old.py:7"]


def test_a_scan_of_another_repository_or_none_shows_nothing() -> None:
    repository("acme/other")
    ingest(repository(), "semgrep", [found("a")])
    for asked in (
        {"repository": "acme/other"},
        {"provider": "gitlab"},
        {"scan_id": str(uuid.UUID(int=1))},
        {"scan_id": ""},
        {"scan_id": "x" * 99},
    ):
        assert marked(**asked) == []


def test_the_statements_are_as_many_however_many_findings_there_are() -> None:
    shop = repository()
    counts = []
    for number in (1, 30):
        ingest(shop, "semgrep", [found(f"f{n}") for n in range(number)])
        with CaptureQueriesContext(connection) as asked:
            assert marked()
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 5  # one of them finds the scan for this test
