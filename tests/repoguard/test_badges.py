"""Badges of repositories."""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.models import Build
from core.badges import Badge, Colour
from integrations.models import Repository
from repoguard.badges.svg import draw, width
from scans.models import Finding, GateResult, Scan
from scans.severities import rank
from tests.factories import RepositoryFactory

pytestmark = pytest.mark.django_db
HOSTILE = "</text><script>alert(1)</script>&\"'\x00\u202e<!--"


@pytest.fixture
def repository() -> Repository:
    return RepositoryFactory.create()


def make_scan(repository: Repository) -> Scan:
    return Scan.objects.create(repository=repository, ref="main", outcome="completed", state="done")


def make_finding(repository: Repository, severity: str) -> None:
    Finding.objects.create(
        repository=repository, identity=uuid.uuid4(), kind="code", severity=severity, severity_rank=rank(severity), state="open"
    )


def told(repository: Repository, client: Client, query: str = "") -> tuple[str, str, str]:
    found = client.get(f"/badge/{repository.badge_token}.json{query}")
    assert found.status_code == 200
    body = found.json()
    assert set(body) == {"schemaVersion", "label", "message", "color", "cacheSeconds"}  # shields.io refuses any other name
    return body["label"], body["message"], body["color"]


def built(repository: Repository, *statuses: str, workflow: str = "test", branch: str = "main") -> None:
    now = timezone.now()
    Build.objects.bulk_create(
        Build(
            project=repository.full_name, source="github", build_id=f"{workflow}-{branch}-{number}", repository=repository, branch=branch,
            workflow=workflow, status=status, started_at=now - timedelta(minutes=len(statuses) - number),
        )
        for number, status in enumerate(statuses)
    )  # fmt: skip


def test_what_is_not_known_is_a_badge_too(client: Client, repository: Repository) -> None:
    for query in ("", "?show=findings", "?show=build", "?show=success-rate"):
        assert told(repository, client, query)[1:] == ("unknown", "lightgrey")
    for path in (
        "/badge/nobody-knows-this-token.svg",
        "/badge/x.svg",
        f"/badge/{repository.badge_token}.svg?show=nonsense",
        "/badge/%00.svg",
    ):
        found = client.get(path)
        assert (found.status_code, found["Content-Type"]) == (200, "image/svg+xml; charset=utf-8")
        assert b"unknown" in found.content
        assert "no-cache" in found["Cache-Control"]


def test_the_gate_of_a_branch(client: Client, repository: Repository) -> None:
    scan = make_scan(repository)
    for ref, decision in (("main", "failed"), ("main", "passed"), ("dev", "failed")):
        GateResult.objects.create(repository=repository, scan_id=scan.id, cause="triage", ref=ref, decision=decision)
    assert told(repository, client) == ("gate", "passed", "brightgreen")
    assert told(repository, client, "?branch=refs/heads/dev&label=security") == ("security", "failed", "red")


def test_the_findings_of_a_branch(client: Client, repository: Repository) -> None:
    make_scan(repository)
    assert told(repository, client, "?show=findings") == ("findings", "none", "brightgreen")
    for severity in ("high", "high", "critical", "low"):
        make_finding(repository, severity)
    assert told(repository, client, "?show=findings") == ("findings", "1 critical, 2 high", "red")


def test_the_builds_of_a_branch(client: Client, repository: Repository) -> None:
    built(repository, "failure", "success", "cancelled")
    assert told(repository, client, "?show=build") == ("build", "passing", "brightgreen")
    assert told(repository, client, "?show=success-rate") == ("success rate", "50% of 2", "orange")
    built(repository, *["success"] * 199, "timed_out", workflow="lint")
    assert told(repository, client, "?show=build") == ("build", "failing", "red")
    assert told(repository, client, "?show=build&workflow=test") == ("build", "passing", "brightgreen")
    assert told(repository, client, "?show=success-rate&workflow=lint") == ("success rate", "99% of 100", "brightgreen")
    assert told(repository, client, "?show=build&branch=other") == ("build", "unknown", "lightgrey")


def test_caches_are_told_how_long_and_answered_304(client: Client, repository: Repository) -> None:
    GateResult.objects.create(repository=repository, scan_id=repository.id, cause="scan", ref="main", decision="passed")
    path = f"/badge/{repository.badge_token}.svg"
    first = client.get(path)
    assert first["Cache-Control"] == "public, max-age=60, s-maxage=60"
    assert first["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert first["X-Content-Type-Options"] == "nosniff"
    assert not first.cookies
    assert "Vary" not in first  # a cache keeps one for everybody
    again = client.get(path, headers={"If-None-Match": f'"other", W/{first["ETag"]}'})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    GateResult.objects.create(repository=repository, scan_id=repository.id, cause="triage", ref="main", decision="failed")
    assert client.get(path, headers={"If-None-Match": first["ETag"]}).status_code == 200
    assert client.head(path).status_code == 200
    assert client.post(path).status_code == 405


def test_texts_are_escaped(client: Client, repository: Repository) -> None:
    drawn = client.get(f"/badge/{repository.badge_token}.svg", {"label": HOSTILE}).content.decode()
    root = ElementTree.fromstring(drawn)
    assert {element.tag.rpartition("}")[2] for element in root.iter()} == {
        "svg", "title", "linearGradient", "stop", "clipPath", "rect", "g", "text",
    }  # fmt: skip
    assert not re.search(r"script>|\x00|\u202e", drawn.replace("&lt;script&gt;", "").replace("&lt;/script&gt;", ""))
    assert told(repository, client, "?label=")[0] == ""
    assert len(json.dumps(told(repository, client, "?label=" + "x" * 5000))) < 200


def test_a_badge_is_as_wide_as_its_texts() -> None:
    root = ElementTree.fromstring(draw(Badge("gate", "passed", Colour.GREEN)))
    # https://www.npmjs.com/package/badge-maker draws the same badge 84 wide, its parts 35 and 49
    assert abs(int(root.attrib["width"]) - 84) <= 2
    assert abs(width("gate") - 25) < 1
    assert width("漢字") == 22
    assert width("e\u0301") == width("e")


def test_its_addresses_can_be_renewed_and_taken_back(client: Client, admin_client: Client, repository: Repository) -> None:
    GateResult.objects.create(repository=repository, scan_id=repository.id, cause="scan", ref="main", decision="passed")
    path = f"/api/v1/repositories/{repository.id}/badge"
    old = admin_client.get(path).json()
    assert [badge["show"] for badge in old["badges"]] == ["gate", "findings", "build", "success-rate"]
    assert f"/badge/{repository.badge_token}.svg?show=gate" in old["badges"][0]["markdown"]
    new = admin_client.post(path).json()
    assert new != old
    assert told(repository, client)[1] == "unknown"
    repository.refresh_from_db()
    assert told(repository, client)[1] == "passed"
    assert admin_client.delete(path).status_code == 204
    assert admin_client.get(path).json() == {"enabled": False, "badges": []}
    assert told(repository, client)[1] == "unknown"


@pytest.mark.parametrize("show", ["gate", "findings", "build", "success-rate"])
def test_a_badge_costs_three_statements_at_most(client: Client, repository: Repository, show: str) -> None:
    built(repository, *["success", "failure"] * 20)
    make_scan(repository)
    make_finding(repository, "high")
    with CaptureQueriesContext(connection) as ran:
        client.get(f"/badge/{repository.badge_token}.svg?show={show}")
    assert len(ran) <= 3


def test_builds_are_found_by_an_index(client: Client, repository: Repository) -> None:
    for number in range(60):
        built(repository, *["success", "failure"] * 25, branch="main" if number == 0 else f"topic-{number}")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE builds_build")  # of a table that is thought empty, every row is as near as an index
    with CaptureQueriesContext(connection) as ran:
        client.get(f"/badge/{repository.badge_token}.svg?show=success-rate")
    (asked,) = [one["sql"] for one in ran if 'FROM "builds_build"' in one["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + asked)
        assert "build_badge_idx" in str(cursor.fetchall())
