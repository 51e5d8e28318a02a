"""One vulnerability, whichever of its names a tool knows."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from scans.models import Finding, Presence
from tests.scans.kit import ingest, repository, vulnerable

pytestmark = pytest.mark.django_db
CVE, GHSA, SNYK = "CVE-2020-8203", "GHSA-p6mc-m468-83gw", "SNYK-JS-LODASH-567746"
REPORTS = {
    "snyk": vulnerable(SNYK, CVE, severity="high", fixed="4.17.20"),
    "trivy": vulnerable(CVE, severity="critical"),
    "osv": vulnerable(GHSA, CVE, severity="medium"),
    "dependabot": vulnerable(GHSA, version="", within="< 4.17.20", manifest="package-lock.json"),
}


@pytest.mark.parametrize("order", list(permutations(REPORTS)), ids=lambda order: "-".join(name[0] for name in order))
def test_four_tools_report_one_finding_whatever_the_order(order: tuple[str, ...]) -> None:
    repo = repository()
    for tool in order:
        ingest(repo, tool, [REPORTS[tool]])
    one = Finding.objects.get()
    assert one.sources == ["dependabot", "osv", "snyk", "trivy"]
    assert (one.version, one.severity, one.fixed_version) == ("4.17.15", "critical", "4.17.20")
    assert [value for _, value in one.identifiers] == [CVE, GHSA, SNYK]
    assert Presence.objects.filter(closed_scan_id=None).count() == 4
    for tool in reversed(order):  # and none of them changes it by saying so again
        written = ingest(repo, tool, [REPORTS[tool]])
        assert (written.new, written.fixed) == ([], [])
    assert Finding.objects.get().updated_at == one.updated_at


def test_it_is_fixed_when_the_last_tool_says_so() -> None:
    repo = repository()
    for tool, report in REPORTS.items():
        ingest(repo, tool, [report])
    for tool in ("trivy", "snyk", "osv"):
        assert ingest(repo, tool, []).fixed == []
    assert Finding.objects.get().sources == ["dependabot"]
    assert len(ingest(repo, "dependabot", []).fixed) == 1


def test_what_is_dismissed_in_one_manifest_counts_in_another() -> None:
    manifests = [replace(vulnerable(GHSA, manifest=f"{name}/package-lock.json"), state="suppressed") for name in "abcd"]
    for place in range(4):
        repo = repository(f"acme/shop-{place}")
        ingest(repo, "dependabot", [replace(one, state="open") if number == place else one for number, one in enumerate(manifests)])
        assert [one.suppressed for one in Finding.objects.filter(repository=repo)] == [False]


def test_another_version_or_package_is_another_finding() -> None:
    repo = repository()
    ingest(repo, "trivy", [vulnerable(CVE), vulnerable(CVE, version="3.0.0"), vulnerable(CVE, package="lodash-es")])
    assert Finding.objects.count() == 3


def test_a_range_belongs_to_each_version_inside_it() -> None:
    repo = repository()
    ingest(repo, "dependabot", [REPORTS["dependabot"]])
    ingest(repo, "trivy", [vulnerable(GHSA, version=version) for version in ("4.17.15", "4.17.1", "4.17.21")])
    assert {one.version: one.sources for one in Finding.objects.all()} == {
        "4.17.1": ["dependabot", "trivy"],
        "4.17.15": ["dependabot", "trivy"],
        "4.17.21": ["trivy"],
    }
    written = ingest(repo, "dependabot", [REPORTS["dependabot"]])
    assert (written.new, written.fixed, Finding.objects.count()) == ([], [], 3)


def test_two_findings_become_one_when_a_report_knows_both_names() -> None:
    repo = repository()
    ingest(repo, "grype", [vulnerable(GHSA)])
    ingest(repo, "trivy", [vulnerable(CVE)])
    Finding.objects.filter(rule=CVE).update(triage="accepted")
    assert Finding.objects.count() == 2
    written = ingest(repo, "osv", [vulnerable(GHSA, CVE)])
    one = Finding.objects.get()
    assert (one.sources, one.triage, written.new) == (["grype", "osv", "trivy"], "accepted", [])


def test_one_tool_that_reports_it_under_two_names_reports_one_finding() -> None:
    repo = repository()
    report = [vulnerable(CVE), vulnerable(GHSA), vulnerable(SNYK, CVE), vulnerable(SNYK, GHSA)]
    ingest(repo, "tool", report)
    assert Finding.objects.count() == 1
    before = Finding.objects.values().get()
    ingest(repo, "tool", report[::-1])
    assert Finding.objects.values().get() == before


def test_two_cves_of_one_advisory_are_not_made_one() -> None:
    repo = repository()
    ingest(repo, "snyk", [vulnerable(SNYK, "CVE-2024-0001", "CVE-2024-0002")])
    ingest(repo, "trivy", [vulnerable("CVE-2024-0001"), vulnerable("CVE-2024-0002")])
    assert Finding.objects.count() == 3


def test_of_several_names_in_one_report_the_worst_speaks() -> None:
    for number in range(8):  # names are hashed with the repository's id
        repo = repository(f"acme/r{number}")
        said = [
            vulnerable("PYSEC-2024-1", "CVE-2024-1", severity=""),
            vulnerable("GHSA-aaaa-bbbb-cccc", "CVE-2024-1", severity="critical"),
            vulnerable("SNYK-JS-LODASH-1", "CVE-2024-1", severity="low"),
        ]
        ingest(repo, "tool", said if number % 2 else said[::-1])
        assert list(Finding.objects.filter(repository=repo).values_list("severity", flat=True)) == ["critical"]
