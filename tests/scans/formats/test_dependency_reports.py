"""Reports about dependencies and images."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from integrations.contract.reports import ReportedFinding, ReportedPackage
from tests.scans.formats.native import read, sample

pytestmark = pytest.mark.once
V31 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def package_of(finding: ReportedFinding) -> ReportedPackage:
    assert finding.package is not None
    return finding.package


def test_snyk_repeats_a_vulnerability_for_each_path_to_it() -> None:
    found = read("snyk_cli.test")
    assert [(one.tool, one.category) for one in found.sections] == [("snyk", "")]
    assert [(one.rule, package_of(one).name, package_of(one).version, one.state) for one in found.findings] == [
        ("SNYK-JS-LEFT-1", "left", "1.1.0", "open"),  # ignored on one path only
        ("SNYK-JS-LEFT-1", "left", "2.0.3", "open"),
        ("npm:right:20310101", "right", "3.0.0", "open"),
        ("snyk:lic:npm:gplish:GPL-3.0", "gplish", "0.1.0", "open"),
        ("SNYK-JS-ODD-9", "odd", "1.0.0", "suppressed"),
    ]


def test_snyk_names_and_severities() -> None:
    left, _, right, licence, _ = read("snyk_cli.test").findings
    assert left.identifiers == (
        ("SNYK", "SNYK-JS-LEFT-1"),
        ("CVE", "CVE-2031-1001"),
        ("GHSA", "GHSA-aaaa-bbbb-cccc"),
        ("SNYK", "SNYK-JS-LEFT-7"),
    )
    assert (left.cwe, left.cvss, left.severity, left.severity_origin) == (("CWE-79",), (V31,), "critical", "severityWithCritical")
    package = package_of(left)
    assert (package.ecosystem, package.manifest) == ("npm", "web/package-lock.json")
    assert (package.fixed_version, package.vulnerable_range) == ("1.2.0, 2.1.0", "<1.2.0 || >=2.0.0 <2.1.0")
    # the organisation lowered it
    assert (right.severity, right.identifiers, right.cvss) == ("low", (("SNYK", "npm:right:20310101"),), ())
    assert (licence.kind, licence.identifiers) == ("license", ())


def test_snyk_of_several_projects_is_partial_where_one_failed() -> None:
    found = read("snyk_cli.all_projects")
    assert len(found.sections) == 1
    assert [package_of(one).manifest for one in found.findings] == ["b/package.json"]
    assert [(one.where, one.sentence) for one in found.problems] == [("[2]", "Snyk could not test it: Missing package-lock.json in c")]


@pytest.mark.parametrize("report", ["snyk_cli.failed", [sample("snyk_cli.failed")]])
def test_snyk_that_tested_nothing_is_no_clean_report(report: Any) -> None:
    with pytest.raises(InvalidInput, match="Could not detect supported target files") as refused:
        read(report)
    assert refused.value.code == "scan_failed"


def test_snyk_container_is_known_by_its_image_and_has_no_path() -> None:
    found = read("snyk_cli.container")
    assert [(one.tool, one.category) for one in found.sections] == [("snyk-container", "image:acme/shop")]
    packages = [package_of(one) for one in found.findings]
    assert [(one.ecosystem, one.name, one.fixed_version, one.manifest) for one in packages] == [
        ("debian:12", "libgcc-s1", "12.2.0-15", ""),
        ("npm", "left", "1.2.0, 2.1.0", ""),
    ]


def test_snyk_infrastructure_as_code() -> None:
    found = read("snyk_cli.iac")
    assert [one.tool for one in found.sections] == ["snyk-iac"]
    web, db = found.findings
    assert (web.kind, web.severity, web.locations[0].path, web.locations[0].line) == ("config", "medium", "infra/main.tf", 7)
    assert web.fingerprints != db.fingerprints
    assert (db.locations[0].line, db.state) == (None, "suppressed")


def test_snyk_pairs_of_packages_and_issues() -> None:
    assert [(one.rule, package_of(one).version, one.severity) for one in read("snyk_cli.pairs").findings] == [
        ("SNYK-PYTHON-DJANGO-1", "1.6.1", "high"),
        ("SNYK-PYTHON-DJANGO-2", "1.6.1", "low"),
    ]


def test_trivy_of_a_folder() -> None:
    found = read("trivy.fs")
    assert [(one.tool, one.version, one.category) for one in found.sections] == [("trivy", "0.66.0", "")]
    assert [(one.rule, one.kind, one.state) for one in found.findings] == [
        ("CVE-2031-3001", "", "open"),
        ("CVE-2031-3002", "", "suppressed"),
        ("DS002", "config", "open"),
        ("DS006", "config", "suppressed"),
        ("token", "secret", "open"),
        ("GPL-3.0", "license", "open"),
    ]
    left, config, secret = found.by_rule("CVE-2031-3001"), found.by_rule("DS002"), found.by_rule("token")
    # a distribution's bulletin is no name; the vector that the severity comes from is first
    assert left.identifiers == (("CVE", "CVE-2031-3001"), ("GHSA", "GHSA-dddd-eeee-ffff"))
    assert (left.cvss[0], left.severity_origin, left.cwe) == (V31, "Severity of ghsa", ("CWE-79",))
    package = package_of(left)
    assert (package.manifest, package.purl, package.fixed_version) == (
        "services/api/package-lock.json",
        "pkg:npm/left@1.1.0",
        "1.2.0, 2.1.0",
    )
    assert (config.locations[0].path, config.locations[0].line) == ("services/api/Dockerfile", 1)
    assert (secret.locations[0].path, secret.locations[0].line, set(secret.raw) & {"Match", "Code"}) == ("services/api/conf/.env", 4, set())


def test_trivy_of_an_image() -> None:
    found = read("trivy.image")
    assert [one.category for one in found.sections] == ["image:registry.acme.example:5000/shop"]
    assert [package_of(one).manifest for one in found.findings[:2]] == ["", ""]
    assert (found.by_rule("token").locations, found.by_rule("token").description) == ((), "A token in /srv/.env")


def test_trivy_of_one_file() -> None:
    report = sample("trivy.fs") | {"ArtifactName": "api/package-lock.json"}
    assert package_of(read(report).findings[0]).manifest == "api/package-lock.json"


def test_trivy_that_lists_nothing() -> None:
    assert read("trivy.clean").problems == []
    assert [one.where for one in read("trivy.unread_image").problems] == ["Results"]


def test_trivy_before_its_reports_had_a_version() -> None:
    assert [package_of(one).manifest for one in read("trivy.old").findings] == ["Gemfile.lock"]


def test_grype() -> None:
    found = read("grype.dir")
    assert [(one.tool, one.version, one.category) for one in found.sections] == [("grype", "0.94.0", "")]
    left, bulletin, ignored = found.findings
    assert left.identifiers == (("GHSA", "GHSA-aaaa-bbbb-cccc"), ("CVE", "CVE-2031-1001"))
    assert (bulletin.rule, bulletin.identifiers) == ("ELSA-2031-5", ())
    assert (ignored.rule, ignored.state) == ("CVE-2031-1005", "suppressed")
    package = package_of(left)
    assert (package.version, package.fixed_version, package.vulnerable_range) == ("1.1.0", "1.2.0", "<1.2.0 (semantic)")
    assert (package.manifest, left.cvss) == ("services/web/package-lock.json", (V31,))


def test_grype_of_an_image_as_it_was_written_first() -> None:
    found = read("grype.image")
    assert [one.category for one in found.sections] == ["image:acme/shop"]
    [bash] = found.findings
    assert (bash.cvss, package_of(bash).fixed_version, package_of(bash).manifest) == (("AV:L/AC:L/Au:N/C:C/I:C/A:C",), "5.1", "")


def test_npm_reports_the_advisory_and_not_the_packages_that_need_it() -> None:
    [left] = read("npm_audit.v7").findings
    assert (left.rule, left.identifiers, left.severity) == ("GHSA-aaaa-bbbb-cccc", (("GHSA", "GHSA-aaaa-bbbb-cccc"),), "high")
    assert package_of(left) == ReportedPackage("npm", "left", vulnerable_range="<1.2.0")


def test_npm_6_knows_the_versions() -> None:
    found = read("npm_audit.v6").findings
    assert [(package_of(one).version, package_of(one).fixed_version) for one in found] == [("1.1.0", "1.2.0"), ("1.0.0", "1.2.0")]
    assert found[0].identifiers == (("GHSA", "GHSA-aaaa-bbbb-cccc"), ("CVE", "CVE-2031-1001"))


def test_npm_that_failed_is_no_clean_report() -> None:
    with pytest.raises(InvalidInput, match="ENOLOCK, This command requires an existing lockfile"):
        read("npm_audit.failed")


@pytest.mark.parametrize("name", ["pip_audit.fixes", "pip_audit.bare"])
def test_pip_audit(name: str) -> None:
    found = read(name)
    [flask] = found.findings
    assert (flask.rule, package_of(flask).name, package_of(flask).version) == ("PYSEC-2031-5", "flask", "2.0.0")
    assert package_of(flask).fixed_version == "2.2.1, 3.0.0"
    aliases = (("CVE", "CVE-2031-1001"), ("GHSA", "GHSA-aaaa-bbbb-cccc")) if name == "pip_audit.fixes" else ()
    assert flask.identifiers == (("PYSEC", "PYSEC-2031-5"), *aliases)
    assert found.problems == []


def test_osv_scanner_joins_aliases_and_nothing_else() -> None:
    found = read("osv_scanner.scan")
    assert [(one.rule, one.kind, one.state) for one in found.findings] == [
        ("GHSA-gggg-hhhh-jjjj", "", "open"),  # with PYSEC-2031-212
        ("GHSA-kkkk-mmmm-nnnn", "", "open"),  # in the same group, but another CVE
        ("PYSEC-2031-300", "", "open"),  # names that GHSA, but another CVE
        ("PYSEC-2031-9", "", "suppressed"),  # withdrawn
        ("GPL-3.0", "license", "open"),
    ]
    both, other, *_ = found.findings
    assert {value for _, value in both.identifiers} == {"GHSA-gggg-hhhh-jjjj", "PYSEC-2031-212", "CVE-2031-4001"}
    assert {value for _, value in other.identifiers} == {"GHSA-kkkk-mmmm-nnnn", "CVE-2031-4002"}
    assert (both.severity, other.severity, other.severity_origin) == ("MODERATE", "7.5", "max_severity")
    assert (both.cvss, both.cwe) == (("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",), ("CWE-200",))
    assert (package_of(both).fixed_version, package_of(both).manifest) == ("1.26.18", "api/requirements.txt")


def test_osv_scanner_finds_the_same_in_another_order() -> None:
    report = sample("osv_scanner.scan")
    report["results"][0]["packages"][0]["vulnerabilities"].reverse()
    assert [one.identifiers for one in read(report).findings] == [one.identifiers for one in read("osv_scanner.scan").findings]
