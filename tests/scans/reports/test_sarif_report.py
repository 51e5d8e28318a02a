"""SARIF that others, and the portal itself, read again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from django.contrib.auth.models import User

from integrations.models import Repository
from scans.formats.sarif.report import Sarif
from scans.formats.source import Source
from scans.ingest.reading import read_report
from scans.ingest.writing import write_report
from scans.models import Finding, Scan, Stream
from scans.services.triage import Decision, decide
from tests.access.keys import client_of
from tests.scans.kit import code, ingest, vulnerable
from tests.scans.reports.test_reports import HOSTILE, ask
from tests.scans.test_uploads import shop as shop

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SCHEMA = json.loads((Path(__file__).parent / "fixtures" / "sarif-schema-2.1.0.json").read_text())
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
KEPT = ("kind", "rule", "severity", "package", "version", "path", "line", "identifiers", "cwe", "suppressed")


@pytest.fixture
def exported(alice: User, shop: Repository) -> bytes:
    ingest(
        shop,
        "trivy",
        [
            vulnerable("CVE-2020-8203", "GHSA-p6mc-m468-83gw", fixed="4.17.20", manifest="web/package-lock.json", cwe=("CWE-1321",)),
            vulnerable(
                "CVE-2020-10000",
                package="@babel/core",
                version="7.0.0",
                severity="info",
                cvss=(VECTOR,),
            ),
        ],
    )
    ingest(
        shop,
        "semgrep",
        [
            code("xss", title=HOSTILE, path="src/a b/ü:%41.py"),
            *(code("xss", path=f"{n}.py", severity=word) for n, word in enumerate(("critical", "medium", "low"))),
            code("quiet", severity="unknown", path="q.py", url="https://[bad"),
        ],
        category="web",
    )
    ingest(shop, "gitleaks", [code("aws-key", path=".env", kind="secret")])
    decide(Finding.objects.get(path="0.py"), Decision("accepted", "an inner tool"))
    answer = ask(client_of(alice), shop, "sarif")
    assert answer["Content-Type"] == "application/sarif+json"
    return bytes(answer.getvalue())


def test_it_is_what_the_standard_says(exported: bytes) -> None:
    document = json.loads(exported)
    jsonschema_rs.validator_for(SCHEMA, validate_formats=True).validate(document)
    runs = {run["tool"]["driver"]["name"]: run for run in document["runs"]}
    assert set(runs) == {"trivy", "semgrep", "gitleaks"}
    assert [rule["id"] for rule in runs["semgrep"]["tool"]["driver"]["rules"]] == ["xss", "quiet"]
    for run in runs.values():
        rules = run["tool"]["driver"]["rules"]
        assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    reasons = [one["justification"] for result in runs["semgrep"]["results"] for one in result["suppressions"]]
    assert reasons == ["risk accepted: an inner tool"]
    rules = {rule["id"]: rule["properties"].get("security-severity") for rule in runs["trivy"]["tool"]["driver"]["rules"]}
    assert rules == {"CVE-2020-8203": "8.0", "CVE-2020-10000": None}


def test_the_portal_reads_its_own_sarif_to_the_same_findings(exported: bytes, shop: Repository) -> None:
    other = Repository.objects.create(provider="github", full_name="acme/other")
    for _ in range(2):
        scan = Scan.objects.create(repository=other, ref="main")
        report = read_report(Sarif().read(Source(io.BytesIO(exported), len(exported))), other.id)
        assert report.problem_count == 0
        write_report(scan, report, lambda written: None)
        report.spool.close()
    assert streams(other) == streams(shop)
    expected = findings(shop)
    expected["0.py"][KEPT.index("suppressed")] = True  # what was decided here
    expected["q.py"][KEPT.index("severity")] = "medium"  # SARIF has no level for what nobody knows, and counts it as a warning
    assert findings(other) == expected


def streams(repository: Repository) -> set[tuple[str, str]]:
    return set(Stream.objects.filter(repository=repository).values_list("tool", "category"))


def findings(repository: Repository) -> dict[str, list[Any]]:
    return {one.package or one.path: [getattr(one, name) for name in KEPT] for one in Finding.objects.filter(repository=repository)}
