"""Reports over REST: taken in, read by a worker, refused in words."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core import leases, work
from core.models import Event
from core.models.work import WorkState
from integrations.models import Repository
from scans.ingest.reading import read_report
from scans.models import Finding, Scan, ScanPart, Stream
from scans.work import work_off
from tests.access.keys import client_of
from tests.factories import owner_of

pytestmark = pytest.mark.django_db
UPLOAD = "/api/v1/scans/upload"
SHA = "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"


def sarif(*rules: str, tool: str = "Semgrep", level: str = "error", **run: Any) -> bytes:
    results = [
        {
            "ruleId": rule,
            "level": level,
            "message": {"text": f"{rule} is here"},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/app.py"}, "region": {"startLine": number + 1}}}],
        }
        for number, rule in enumerate(rules)
    ]
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": tool}}, "results": results, **run}]}).encode()


@pytest.fixture
def shop(alice: User) -> Repository:
    return Repository.objects.create(provider="github", full_name="acme/shop", owner=owner_of(alice))


def upload(client: Any, body: bytes, repository: str = "acme/shop", **about: str) -> Any:
    query = "&".join(f"{name}={value}" for name, value in {"repository": repository, **about}.items())
    return client.post(f"{UPLOAD}?{query}", body, content_type="application/json")


def run() -> int:
    return work.run_due(Scan, work_off)


def test_a_report_is_taken_in_and_becomes_findings(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    answer = upload(client, sarif("sql-injection", "xss"), commit=SHA)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert (Scan.objects.get().format, ScanPart.objects.count()) == ("sarif", 1)
    assert b"sql-injection" not in bytes(ScanPart.objects.extra(select={"x": "data"}).values_list("x", flat=True)[0])
    run()
    scan = client.get(f"/api/v1/scans/{answer.json()['id']}").json()
    assert (scan["status"], scan["tools"], scan["total"], scan["new"], scan["ref"]) == ("completed", ["semgrep"], 2, 2, "main")
    assert not ScanPart.objects.exists()
    counts = client.get(f"/api/v1/repositories/{shop.id}/findings/summary").json()
    assert (counts["total"], counts["by_severity"]["high"], counts["ref"]) == (2, 2, "main")
    listed = client.get(f"/api/v1/findings?repository={shop.id}&state=open&min_severity=high").json()["results"]
    assert {one["rule"] for one in listed} == {"sql-injection", "xss"}
    detail = client.get(f"/api/v1/findings/{listed[0]['id']}").json()
    assert [(one["tool"], one["ref"], one["closed_scan"]) for one in detail["presences"]] == [("semgrep", "main", None)]


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "application/octet-stream", "application/sarif+json", "text/plain", ""]
)
def test_what_it_is_called_does_not_matter(kind: str, alice: User, shop: Repository) -> None:
    answer = client_of(alice).generic("POST", f"{UPLOAD}?repository={shop.id}", sarif("xss"), content_type=kind)
    assert answer.status_code == 202, answer.content


@pytest.mark.parametrize("way", ["gzip", "form", "utf-16", "bom"])
def test_it_may_be_sent_in_other_ways(way: str, alice: User, shop: Repository) -> None:
    body = sarif("xss")
    client, url = client_of(alice), f"{UPLOAD}?repository={shop.id}"
    if way == "form":
        answer = client.post(url, {"file": SimpleUploadedFile("report.sarif", gzip.compress(body))}, format="multipart")
    else:
        packed = {"gzip": gzip.compress(body), "utf-16": body.decode().encode("utf-16"), "bom": b"\xef\xbb\xbf" + body}[way]
        answer = client.post(url, packed, content_type="application/json")
    assert answer.status_code == 202, answer.content
    run()
    assert (Scan.objects.get().status, Finding.objects.count()) == ("completed", 1)


@pytest.mark.parametrize(
    ("body", "about", "field", "words"),
    [
        (b"", {}, None, "is empty"),
        (b"<xml/>", {}, None, "no JSON"),
        (b'{"runs": [', {}, None, ""),
        (b'{"hello": 1}', {}, None, "an object with the names hello"),
        (b"[1, 2]", {}, None, "a list without objects"),
        (b"[" * 5000, {}, None, "nested more than"),
        (b"\x1f\x8bbroken", {}, None, "can't be unpacked"),
        (sarif(), {"commit": "nothex"}, "commit", "hexadecimal"),
        (sarif(), {"ref": "two words"}, "ref", "without spaces"),
        (sarif(), {"complete": "maybe"}, "complete", "true or false"),
        (sarif(), {"report_format": "docx"}, "report_format", "must be one of"),
        (sarif(), {"repository": "acme/none"}, "repository", "not known here"),
        (sarif(), {"repository": ""}, "repository", "is empty"),
        (sarif(), {"sha": SHA}, "sha", ""),
    ],
)
def test_wrong_reports_and_values_are_refused_and_nothing_is_stored(
    body: bytes, about: dict[str, str], field: str | None, words: str, alice: User, shop: Repository
) -> None:
    answer = upload(client_of(alice), body, **about)
    if body == b'{"runs": [':  # it begins like SARIF, and only its reader finds out
        assert answer.status_code in (202, 400)
        return
    assert answer.status_code == 400, answer.content
    assert words in answer.json()["message"]
    assert field is None or field in answer.json()["fields"]
    assert not Scan.objects.exists()


def test_a_report_over_the_cap_is_refused_packed_or_not(alice: User, shop: Repository, settings: Any) -> None:
    settings.SCAN_MAX_BYTES = 2000
    client = client_of(alice)
    for body in (sarif(*["x"] * 50), gzip.compress(sarif(*["x"] * 50))):
        answer = upload(client, body)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert not Scan.objects.exists()


def test_a_report_of_somebody_elses_repository_is_refused(charlie: User, shop: Repository) -> None:
    assert upload(client_of(charlie), sarif(), str(shop.id)).json()["code"] == "unknown_repository"


def test_a_report_without_anything_usable_fails_with_its_reason(alice: User, shop: Repository) -> None:
    id = upload(client_of(alice), b'{"version": "2.1.0", "runs": 42}', report_format="sarif", commit=SHA).json()["id"]
    run()
    scan = client_of(alice).get(f"/api/v1/scans/{id}").json()
    assert (scan["status"], scan["problem_count"]) == ("failed", 1)
    assert scan["problems"][0]["sentence"]
    assert Event.objects.filter(type="scan.failed").count() == 1
    assert client_of(alice).get(f"/api/v1/repositories/{shop.id}/gate?commit={SHA}").status_code == 409


def test_scans_of_a_repository_are_written_in_the_order_they_came(alice: User, shop: Repository) -> None:
    client = client_of(alice)
    first = upload(client, sarif("xss")).json()["id"]
    upload(client, sarif())
    Scan.objects.filter(id=first).update(state=WorkState.RUNNING, lease_owner=leases.register_worker("work"))  # another has it
    run()
    second = Scan.objects.exclude(id=first).get()
    assert (second.status, second.error) == ("queued", "Waits for an earlier scan of this repository.")
    assert run() == 0
    Scan.objects.filter(id=first).update(state=WorkState.QUEUED, lease_owner=None)  # that worker died
    assert run() == 2  # the first releases the second
    assert set(Scan.objects.values_list("status", flat=True)) == {"completed"}


def test_running_a_finished_scan_again_does_nothing(alice: User, shop: Repository) -> None:
    upload(client_of(alice), sarif("xss"))
    run()
    events = Event.objects.count()
    Scan.objects.update(state=WorkState.QUEUED)
    run()
    assert (Scan.objects.get().state, Event.objects.count(), Finding.objects.count()) == ("done", events, 1)


def test_the_very_same_report_again_is_not_read_unless_something_else_was_said_meanwhile(
    alice: User, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, client, read = sarif("xss", "sql-injection"), client_of(alice), []
    monkeypatch.setattr("scans.work.read_report", lambda *args, **more: read.append(1) or read_report(*args, **more))

    def scanned(body: bytes, **about: str) -> tuple[Any, ...]:
        id = upload(client, body, **about).json()["id"]
        run()
        scan = Scan.objects.get(id=id)
        return scan.status, scan.tools, scan.total, scan.by_severity, scan.new, scan.fixed

    first = scanned(body, commit="1" * 40)
    assert scanned(body, commit="2" * 40) == (*first[:4], 0, 0)
    assert scanned(body) == (*first[:4], 0, 0)
    assert (len(read), set(Stream.objects.values_list("last_commit", flat=True))) == (1, {""})
    assert client.get(f"/api/v1/repositories/{shop.id}/gate?commit={'2' * 40}").status_code == 200
    assert scanned(sarif("xss"))[-1] == 1
    assert scanned(body)[-2:] == (1, 0)
    assert len(read) == 3
    for about in ({"ref": "feature"}, {"category": "other"}, {"complete": "false"}):
        scanned(body, **about)
    assert len(read) == 6


def test_events_tell_of_the_scan_in_one_digest(alice: User, shop: Repository) -> None:
    upload(client_of(alice), sarif(*[f"rule-{number}" for number in range(40)]), commit=SHA)
    run()
    types = list(Event.objects.order_by("id").values_list("type", flat=True))
    assert types == ["scan.started", "scan.completed", "finding.opened", "gate.failed"]
    done, opened, gate = (Event.objects.get(type=type).payload for type in ("scan.completed", "finding.opened", "gate.failed"))
    assert (done["new"], done["total"], done["by_severity"], len(done["top_findings"])) == (40, 40, {"high": 40}, 5)
    assert (opened["count"], len(opened["findings"])) == (40, 5)
    assert (gate["broken_count"], gate["reasons"]) == (40, ["no new findings of severity high or worse"])
    assert set(Event.objects.values_list("owner_id", "repository_id")) == {(shop.owner_id, shop.id)}


def test_many_new_findings_are_counted_for_the_planner(alice: User, shop: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scans.ingest.tables.MANY_ROWS", 2)
    once = 1 if connection.vendor == "postgresql" else 0
    for rules, before, counted in ((["a"], 1000, 0), (["a", "b", "c"], 5, 0), (["d", "e", "f"], 1000, once), (["f", "e", "d"], 1000, 0)):
        upload(client_of(alice), sarif(*rules))
        if once:  # of a table that is hardly changed by these rows nobody would count it soon
            with connection.cursor() as cursor:
                cursor.execute("UPDATE pg_class SET reltuples = %s WHERE relname = 'scans_presence'", [before])
        with CaptureQueriesContext(connection) as queries:
            run()
        assert sum("ANALYZE" in query["sql"] for query in queries) == counted
