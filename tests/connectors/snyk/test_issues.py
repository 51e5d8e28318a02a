"""Issues as findings: identity, severity and vectors, names by their looks, packages, places, fixes."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.connectors.snyk.issues import Seen, reported
from integrations.connectors.snyk.targets import Project, Target, Wanted
from integrations.contract.reports import ReportedFinding, ReportedLocation, ReportedPackage
from scans.choices import Kind, Severity
from scans.normal.normalise import normalise

pytestmark = pytest.mark.once
NPM = Project("p-1", "acme/shop:web/package.json", "npm", "web/package.json", "main")
PAGE = "https://app.snyk.io/org/acme/project/p-1"


def made(project: Project = NPM, **said: Any) -> list[ReportedFinding]:
    known = {"key": "SNYK-JS-LODASH-567746", "type": "package_vulnerability", "effective_severity_level": "high", "status": "open"}
    return reported({"id": "i-1", "type": "issue", "attributes": known | said}, Seen(project, PAGE))


def package(name: str, version: str, **more: Any) -> dict[str, Any]:
    return {"representations": [{"dependency": {"package_name": name, "package_version": version}}], **more}


def test_a_vulnerability_says_all_that_it_is_compared_and_judged_by() -> None:
    (found,) = made(
        title="Prototype Pollution", created_at="2026-01-02T03:04:05.678Z", updated_at="2026-02-02T00:00:00Z",
        problems=[
            {"id": "SNYK-JS-LODASH-567746", "source": "SNYK"}, {"id": "CVE-2020-8203", "source": "CVE"},
            {"id": "GHSA-p6mc-m468-83gw", "source": "x"},
            {"id": "CWE-1321", "source": "NVD"},
        ],
        classes=[{"id": "CWE-1321", "source": "CWE"}, {"id": "CIS-1.2", "source": "CIS", "type": "compliance"}],
        severities=[
            {"source": "NVD", "vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
            {"source": "Snyk", "vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:L/A:N"},
            {"source": "Snyk", "vector": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:L/VA:N/SC:N/SI:N/SA:N"},
        ],
        risk={"score": {"value": 649, "model": "v1"}}, exploit_details={"maturity_levels": [{"format": "CVSSv4", "level": "Attacked"}]},
        coordinates=[package("lodash", "4.17.15", remedies=[{"type": "indeterminate", "meta": {"data": {"fixed_in": "lodash@4.17.20"}}}])],
    )  # fmt: skip
    assert (found.source_id, found.rule, found.severity_origin) == ("i-1", "SNYK-JS-LODASH-567746", "effective_severity_level")
    assert found.identifiers == (("SNYK", "SNYK-JS-LODASH-567746"), ("CVE", "CVE-2020-8203"), ("GHSA", "GHSA-p6mc-m468-83gw"))
    assert found.package == ReportedPackage("npm", "lodash", "4.17.15", "4.17.20", manifest="web/package.json")
    assert found.url == f"{PAGE}#issue-SNYK-JS-LODASH-567746"
    assert [vector[:8] for vector in found.cvss] == ["CVSS:3.1", "CVSS:4.0"]
    assert len(found.raw["severities"]) == 3
    assert found.raw["risk"]["score"]["value"] == 649
    assert found.raw["exploit_details"]["maturity_levels"][0]["level"] == "Attacked"
    normal = normalise(found, "snyk")
    assert (normal.kind, normal.severity, normal.cwe, normal.ecosystem) == (Kind.DEPENDENCY, Severity.HIGH, (1321,), "npm")
    assert normal.purl == "pkg:npm/lodash@4.17.15"


def test_each_version_is_a_finding_and_a_resolved_place_of_one_that_stays_open_elsewhere_is_none() -> None:
    found = made(coordinates=[
        package("lodash", "4.17.15", state="resolved"), package("lodash", "4.17.15"), package("lodash", "3.0.0", state="resolved"),
        package("lodash.merge", "4.6.1"),
    ])  # fmt: skip
    assert [(one.package.name, one.package.version, one.state) for one in found if one.package] == [
        ("lodash", "4.17.15", "open"), ("lodash", "3.0.0", "fixed"), ("lodash.merge", "4.6.1", "open"),
    ]  # fmt: skip
    assert [one.state for one in made(coordinates=[package("lodash", "4", state="resolved")])] == ["open"]
    assert [one.state for one in made(status="resolved", ignored=True, coordinates=[package("lodash", "4")])] == ["fixed"]
    assert [one.state for one in made(ignored=True, coordinates=[package("lodash", "4")])] == ["suppressed"]


@pytest.mark.parametrize(
    ("key", "type", "ecosystem"),
    [("SNYK-PYTHON-PILLOW-5918878", "dockerfile", "pip"), ("SNYK-DEBIAN11-GIT-6846207", "dockerfile", "debian"),
     ("npm:hoek:20180212", "yarn", "npm"), ("SNYK-NEWLANG-X-1", "newlang", "newlang"),
     ("snyk:lic:composer:a/b:GPL-3.0", "composer", "composer")],
)  # fmt: skip
def test_the_vulnerabilitys_name_tells_the_ecosystem(key: str, type: str, ecosystem: str) -> None:
    (found,) = made(Project("p", type=type), key=key, coordinates=[package("x", "1")])
    assert found.package is not None
    assert (found.package.ecosystem, found.rule) == (ecosystem, key)


@pytest.mark.parametrize(
    ("said", "version"),
    [("lodash@4.17.20", "4.17.20"), ("4.17.20", "4.17.20"), ("express@5.0.0", ""),
     (["express@5.0.0", "lodash@4.18.0"], "4.18.0"), (7.5, ""), ("soon", ""), (None, "")],
)  # fmt: skip
def test_a_remedy_tells_the_fixed_version_of_this_package_only(said: Any, version: str) -> None:
    (found,) = made(coordinates=[package("lodash", "4.17.15", remedies=[{"description": "Upgrade", "meta": {"data": {"fixed_in": said}}}])])
    assert found.package is not None
    assert found.package.fixed_version == version


def test_a_code_issue_is_the_same_on_every_branch() -> None:
    def code(key: str, line: int) -> ReportedFinding:
        region = {"start": {"line": line, "column": 9}, "end": {"line": line + 6, "column": 22}}
        place = {"sourceLocation": {"file": "src/app.js", "commit_id": "5ab4", "region": region}}
        (found,) = made(
            Project("p", "acme/shop", "sast"), key=key, key_asset="4312279e-39d9-463d-b684-3a10059058f6", type="code",
            title="Cross-site Scripting",
            problems=[{"id": key, "source": "SNYK"}], classes=[{"id": "CWE-79", "source": "CWE"}],
            coordinates=[{"representations": [place], "code_flows": [{"thread_flows": [1]}]}],
        )  # fmt: skip
        return found

    main, topic = code("9a29d87f-aa94-47eb-b46f-375b293a8631", 65), code("11111111-aa94-47eb-b46f-375b293a8631", 80)
    assert main.locations == (ReportedLocation("src/app.js", 65, 71),)
    assert (main.rule, main.kind, main.identifiers, main.title) == ("CWE-79", "code", (), "Cross-site Scripting")
    assert "code_flows" not in repr(main.raw)
    one, other = normalise(main, "snyk"), normalise(topic, "snyk")
    assert (one.rule, one.path, one.fingerprint, one.kind) == (other.rule, other.path, other.fingerprint, Kind.CODE)


@pytest.mark.parametrize("type", ["config", "cloud", "custom"])
def test_a_setting_is_named_by_its_rule_file_and_place(type: str) -> None:
    (found,) = made(
        Project("p", "acme/shop:main.tf", "terraformconfig", "main.tf"), key="ff35a5c4d1cb4a1fd29c38b70f8ab89d", type=type,
        problems=[{"id": "SNYK-CC-TF-45", "source": "SNYK", "type": "rule"}],
        coordinates=[{"representations": [{"resourcePath": "resource > aws_s3_bucket[logs]"}]}],
    )  # fmt: skip
    assert (found.rule, found.locations, found.identifiers) == ("SNYK-CC-TF-45", (ReportedLocation("main.tf"),), ())
    assert normalise(found, "snyk").kind is Kind.CONFIG


def test_a_licence_is_no_vulnerability() -> None:
    key = "snyk:lic:npm:readline-sync:GPL-3.0"
    (found,) = made(key=key, type="license", problems=[{"id": key, "source": "SNYK"}], coordinates=[package("readline-sync", "1.0.0")])
    assert (found.kind, found.identifiers, found.rule) == ("license", (), key)
    assert normalise(found, "snyk").kind is Kind.LICENSE


def test_a_vulnerability_without_a_package_is_not_dropped() -> None:
    (found,) = made(problems=[{"id": "CVE-2020-8203"}])
    assert (found.kind, found.package, found.locations) == ("dependency", None, (ReportedLocation("web/package.json"),))


@pytest.mark.parametrize(
    ("name", "url", "source", "provider", "taken"),
    [
        ("ACME/Shop", "", "github", "github", True),
        ("shop", "http://git.acme.example/acme/shop.git", "cli", "gitlab", True),
        ("shop", "git@github.com:Acme/Shop.git", "cli", "github", True),
        ("acme/shop", "", "github-enterprise", "gitlab", False),
        ("acme/shop", "https://gitlab.com/acme/shop", "cli", "github", False),
        ("acme/shop", "", "github", "other", True),
        ("acme/shop", "", "docker-hub", "github", False),
        ("acme/shop", "", "github-cr", "github", False),
        ("acme/shop-api", "https://github.com/acme/shop-api", "github", "github", False),
        ("shop", "https://dev.azure.com/acme/_git/shop", "azure-repos", "azure_devops", True),
    ],
)
def test_a_target_is_the_repositorys_by_name_or_url_at_the_same_platform(
    name: str, url: str, source: str, provider: str, taken: bool
) -> None:
    assert Wanted("acme/shop", provider).takes(Target("t", name, url, source)) is taken
