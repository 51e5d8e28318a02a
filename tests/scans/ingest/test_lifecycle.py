"""What opens, closes and reopens findings, and what leaves them alone."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scans.choices import FindingState, Triage
from scans.formats.base import Problem, Section
from scans.models import Finding, Presence, Scan
from scans.selectors import summary
from tests.scans.kit import code, ingest, repository, vulnerable

pytestmark = pytest.mark.django_db
BATCH_STATEMENTS = 4
MANY = [code(rule=f"r{number % 7}", path=f"src/f{number % 5}.py", line=number + 1, mark=f"{number:016x}") for number in range(60)]
PACKAGES = [vulnerable(f"CVE-2024-{number:04d}", f"GHSA-aaaa-bbbb-{number:04d}", package=f"p{number % 9}") for number in range(40)]


def only() -> Finding:
    return Finding.objects.get()


def texts() -> list[Any]:
    return list(Finding.objects.order_by("id").values())


def test_what_is_new_is_opened_and_counted() -> None:
    repo = repository()
    written = ingest(repo, "semgrep", [code(), code(rule="xss", severity="low")])
    assert (written.total, len(written.new), written.fixed, dict(written.by_severity)) == (2, 2, [], {"high": 1, "low": 1})
    assert {(one.state, tuple(one.sources)) for one in Finding.objects.all()} == {("open", ("semgrep",))}
    assert summary(repo) == {"critical": 0, "high": 1, "medium": 0, "low": 1, "info": 0, "unknown": 0}


@pytest.mark.parametrize("findings", [MANY, PACKAGES], ids=["places", "packages"])
def test_the_same_again_in_any_order_writes_no_finding_and_no_presence(findings: list[Any]) -> None:
    repo = repository()
    ingest(repo, "tool", findings)
    before, presences = texts(), list(Presence.objects.order_by("id").values())
    shuffled = random.Random(3).sample(findings, len(findings))
    with CaptureQueriesContext(connection) as queries:
        written = ingest(repo, "tool", shuffled)
    assert (written.total, written.new, written.fixed) == (len(findings), [], [])
    assert (texts(), list(Presence.objects.order_by("id").values())) == (before, presences)
    written_to = [query["sql"] for query in queries if "INSERT" in query["sql"] or "UPDATE " in query["sql"] or "DELETE" in query["sql"]]
    assert not [sql for sql in written_to if 'scans_finding"' in sql.split("WHERE")[0] or "scans_presence" in sql]


def test_statements_do_not_grow_with_the_findings_of_a_batch() -> None:
    """On SQLite they do by its batches of a thousand: two inserts and a savepoint each."""

    def counted(name: str, number: int) -> int:
        to = repository(name)
        findings = [code(path=f"src/f{one}.py", mark=f"{one:016x}") for one in range(number)]
        with CaptureQueriesContext(connection) as queries:
            ingest(to, "tool", findings)
        return len(queries)

    few, many = counted("acme/few", 100), counted("acme/many", 3000)
    assert many - few == (0 if connection.vendor == "postgresql" else 2 * BATCH_STATEMENTS)


def test_the_same_again_after_a_change_elsewhere_updates_only_what_changed() -> None:
    repo = repository()
    ingest(repo, "tool", MANY)
    before = {one["id"]: one for one in texts()}
    written = ingest(repo, "tool", [*MANY[1:], code(rule="another", mark="d" * 16)])
    assert (len(written.new), len(written.fixed)) == (1, 1)
    changed = [one for one in texts() if before.get(one["id"]) != one]
    assert {one["state"] for one in changed} == {"open", "fixed"}
    assert len(changed) == 2


def test_a_clean_report_of_one_tool_closes_nothing_of_another() -> None:
    repo = repository()
    ingest(repo, "semgrep", [code()])
    ingest(repo, "bandit", [])
    assert only().state == FindingState.OPEN
    assert ingest(repo, "semgrep", []).fixed == [only().id]
    assert (only().state, only().fixed_at is None) == (FindingState.FIXED, False)


def test_a_report_of_another_category_closes_nothing() -> None:
    repo = repository()
    ingest(repo, "semgrep", [code()], category="backend")
    ingest(repo, "semgrep", [], category="frontend")
    assert only().state == FindingState.OPEN


def test_a_branch_closes_nothing_on_main() -> None:
    repo = repository()
    ingest(repo, "semgrep", [code()])
    written = ingest(repo, "semgrep", [code(rule="only-here", mark="c" * 16)], ref="feature")
    assert len(written.new) == 1
    assert dict(Finding.objects.values_list("rule", "state")) == {"sql-injection": "open", "only-here": "branch"}
    ingest(repo, "semgrep", [], ref="feature")
    assert dict(Finding.objects.values_list("rule", "state")) == {"sql-injection": "open", "only-here": "fixed"}
    assert sum(summary(repo).values()) == 1


def test_what_is_on_a_branch_is_open_once_it_is_on_main() -> None:
    repo = repository()
    ingest(repo, "semgrep", [code()], ref="feature")
    assert sum(summary(repo, "feature").values()) == 1
    written = ingest(repo, "semgrep", [code()])
    assert (written.new, written.reopened, only().state) == ([only().id], [], FindingState.OPEN)


def test_a_finding_that_returns_is_reopened() -> None:
    repo = repository()
    for findings in ([code()], [], [code()]):
        written = ingest(repo, "semgrep", findings)
    one = only()
    assert (written.new, written.reopened, one.state, one.fixed_at) == ([one.id], [one.id], FindingState.OPEN, None)
    assert Presence.objects.count() == 2  # its history


def test_a_moved_line_and_a_reworded_title_keep_the_finding_and_what_was_decided() -> None:
    repo = repository()
    ingest(repo, "semgrep", [code(line=7, title="SQL injection", severity="low")])
    Finding.objects.update(triage=Triage.ACCEPTED)
    before = only()
    written = ingest(repo, "semgrep", [code(line=90, title="Possible SQL injection", severity="critical")])
    after = only()
    assert (after.id, after.identity, after.triage, after.opened_at) == (before.id, before.identity, Triage.ACCEPTED, before.opened_at)
    assert (after.line, after.title, after.severity) == (90, "Possible SQL injection", "critical")
    assert (written.new, written.fixed) == ([], [])


@pytest.mark.parametrize("partial", [True, False])
def test_a_report_that_is_not_whole_closes_nothing(partial: bool) -> None:
    repo = repository()
    ingest(repo, "semgrep", [code(), code(rule="xss", mark="b" * 16)])
    more = [Problem("results[1]", "has no rule.")] if partial else []
    written = ingest(repo, "semgrep", [code()], complete=partial, more=more)
    assert (written.fixed, set(Finding.objects.values_list("state", flat=True))) == ([], {"open"})
    # and it is not taken for the whole when that comes
    assert len(ingest(repo, "semgrep", [code()]).fixed) == 1


@pytest.mark.parametrize("findings", [MANY[:4], PACKAGES[:4]], ids=["places", "packages"])
def test_what_an_incremental_report_says_to_be_fixed_is_closed_and_nothing_else(findings: list[Any]) -> None:
    repo = repository()
    ingest(repo, "tool", findings[:3])
    ingest(repo, "tool", findings[:3], ref="feature")
    said = [replace(one, state="fixed") for one in (findings[0], findings[3])]
    written = ingest(repo, "tool", [*said, findings[1]], complete=False)
    assert (written.total, dict(written.by_severity), written.new) == (1, {"high": 1}, [])
    assert [one.rule for one in Finding.objects.filter(id__in=written.fixed)] == [findings[0].rule]
    assert sorted(Finding.objects.values_list("state", flat=True)) == ["fixed", "open", "open"]
    assert sum(summary(repo, "feature").values()) == 3
    before, presences = texts(), list(Presence.objects.order_by("id").values())
    assert ingest(repo, "tool", said, complete=False).fixed == []
    assert (texts(), list(Presence.objects.order_by("id").values())) == (before, presences)
    assert ingest(repo, "tool", [findings[0]], complete=False).reopened == written.fixed
    assert len(ingest(repo, "tool", findings[:1]).fixed) == 2  # and what came in bits is not taken for the whole


def test_what_a_report_says_to_be_fixed_and_to_be_there_is_there() -> None:
    repo = repository()
    ingest(repo, "tool", [code(), vulnerable("CVE-2024-0001")])
    both = [code(line=8), replace(code(), state="fixed"), vulnerable("CVE-2024-0001"), replace(vulnerable("CVE-2024-0001"), state="fixed")]
    for findings in (both, both[::-1]):
        assert ingest(repo, "tool", findings, complete=False).fixed == []


def test_what_is_fixed_by_range_is_closed_at_every_version_and_not_for_other_tools() -> None:
    repo = repository()
    ranged = vulnerable("CVE-2024-0001", version="", within="< 5")
    ingest(repo, "dependabot", [ranged])
    ingest(repo, "trivy", [vulnerable("CVE-2024-0001", version=version) for version in ("4.1", "4.2")])
    assert ingest(repo, "dependabot", [replace(ranged, state="fixed")], complete=False).fixed == []
    assert [one.sources for one in Finding.objects.all()] == [["trivy"], ["trivy"]]


def test_a_problem_about_something_else_leaves_the_sections_whole() -> None:
    repo = repository()
    ingest(repo, "semgrep", [code(), code(rule="xss", mark="b" * 16)])
    problem = Problem("secret scanning", "may not be read.", elsewhere=True)
    assert (
        ingest(repo, "semgrep", [code(), code(rule="xss", mark="b" * 16)], more=[problem, Problem("results[1]", "has no rule.")]).fixed
        == []
    )
    assert len(ingest(repo, "semgrep", [code()], more=[problem]).fixed) == 1


def test_twins_are_told_apart_and_none_is_lost() -> None:
    repo = repository()
    twins = [code(line=line) for line in (3, 9, 27)]
    assert len(ingest(repo, "semgrep", twins).new) == 3
    before = texts()
    assert ingest(repo, "semgrep", twins[::-1]).new == []
    assert texts() == before
    written = ingest(repo, "semgrep", twins[:2])
    assert len(written.fixed) == 1
    assert sorted(Finding.objects.filter(state="open").values_list("line", flat=True)) == [3, 9]


def test_one_report_of_two_tools_is_two_streams() -> None:
    repo = repository()
    ingest(repo, "semgrep", [code()], more=[Section("bandit"), code(rule="B101")])
    assert set(Finding.objects.values_list("tool", flat=True)) == {"semgrep", "bandit"}
    assert len(ingest(repo, "semgrep", [], more=[Section("bandit"), code(rule="B101")]).fixed) == 1


def test_what_a_worker_leaves_when_it_is_killed_is_not_seen_and_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    from scans.ingest.reading import read_report
    from scans.ingest.writing import write_report
    from tests.scans.kit import items

    repo = repository()
    scan = Scan.objects.create(repository=repo, ref="main")

    def killed(written: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(scan, read_report(items("tool", [*MANY, *PACKAGES]), repo.id), killed)
    assert sum(summary(repo).values()) == 0
    written = write_report(scan, read_report(items("tool", [*MANY, *PACKAGES]), repo.id), lambda written: None)
    assert (len(written.new), sum(summary(repo).values())) == (100, 100)
    assert ingest(repo, "tool", [*PACKAGES, *MANY]).new == []


@pytest.mark.parametrize(("ref", "state"), [("main", "open"), ("feature", "branch")])
def test_what_a_scan_leaves_that_failed_for_good_is_shown_by_the_next_that_reports_it(ref: str, state: str) -> None:
    from scans.ingest.reading import read_report
    from scans.ingest.writing import write_report
    from tests.scans.kit import items

    def killed(written: Any) -> None:
        raise KeyboardInterrupt

    repo = repository()
    with pytest.raises(KeyboardInterrupt):
        write_report(Scan.objects.create(repository=repo, ref=ref), read_report(items("tool", MANY[:5]), repo.id), killed)
    written = ingest(repo, "tool", MANY[:3], ref=ref)
    assert len(written.new) == 3
    assert Finding.objects.filter(state=state).count() == 3
    assert sum(summary(repo, ref).values()) == 3
