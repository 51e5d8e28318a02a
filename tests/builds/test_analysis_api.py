"""Analyses through the API."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from builds.analysis import work as analyses
from builds.analysis.table import rows
from builds.models import Analysis
from core import work
from tests.access.keys import client_of
from tests.builds.build_kit import build, store
from tests.factories import owner_of, statements

pytestmark = pytest.mark.django_db
ASKED = {"project": "acme/shop", "since": "2026-11-02T00:00:00Z", "until": "2026-11-09T00:00:00Z"}


def post(client: APIClient, **values: Any) -> Any:
    return client.post("/api/v1/analyze", ASKED | values, format="json")


def analysed(client: APIClient, **values: Any) -> str:
    answer = post(client, **values)
    assert answer.status_code == 202, answer.content
    work.run_due(Analysis, analyses.analyse)
    return str(answer.json()["id"])


def test_it_is_queued_computed_and_shown(alice: User) -> None:
    store(build(0, owner=owner_of(alice)), build(5, "failure", owner=owner_of(alice)))
    client = client_of(alice)
    queued = post(client, compare={}).json()
    assert (queued["status"], queued["result"]) == ("queued", None)
    assert queued["compare"] == {"since": "2026-10-26T00:00:00Z", "until": "2026-11-02T00:00:00Z"}
    work.run_due(Analysis, analyses.analyse)
    found = client.get("/api/v1/analysis").json()
    assert (found["id"], found["status"], found["builds"], found["result"]["success_rate"]) == (queued["id"], "done", 2, 0.5)
    assert found == client.get(f"/api/v1/analysis/{queued['id']}").json() == client.get(f"/api/v1/analysis?id={queued['id']}").json()


def test_the_latest_is_shown_of_all_or_of_a_project(alice: User) -> None:
    client = client_of(alice)
    first, second = analysed(client), analysed(client, project="acme/api")
    assert client.get("/api/v1/analysis").json()["id"] == second
    assert client.get("/api/v1/analysis?project=acme/shop").json()["id"] == first
    assert client.get(f"/api/v1/analysis?project=acme/shop&id={second}").status_code == 404


def test_a_stranger_finds_nothing_and_counts_nothing_of_others(alice: User, charlie: User) -> None:
    store(build(0, owner=owner_of(alice)))
    key = analysed(client_of(alice))
    stranger = client_of(charlie)
    for path in ("analysis", f"analysis?id={key}", f"analysis/{key}", f"analysis/{key}/csv", "analysis?project=acme/shop"):
        assert stranger.get(f"/api/v1/{path}").status_code == 404
    analysed(stranger)
    assert stranger.get("/api/v1/analysis").json()["builds"] == 0


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"since": "2026-11-09T00:00:00Z"}, "since"),
        ({"since": "1999-01-01T00:00:00Z"}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"project": 5}, "project"),
        ({"project": "a" * 256}, "project"),
        ({"branches": "main"}, "branches"),
        ({"compare": {"since": "2026-11-02T00:00:00Z"}}, "compare.since"),
        ({"compare": "last week"}, "compare"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(alice: User, values: dict[str, Any], field: str) -> None:
    answer = post(client_of(alice), **values)
    assert answer.status_code == 400
    assert any(name.startswith(field) for name in answer.json()["fields"]), answer.json()


def test_an_id_that_is_none_is_a_clear_error(alice: User) -> None:
    answer = client_of(alice).get("/api/v1/analysis?id=7")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["id"])


def test_the_csv_holds_every_measure_and_no_formula(alice: User) -> None:
    store(*(build(n, "failure", owner=owner_of(alice), workflow="=cmd()", branch="@x", commit="-1") for n in range(2)))
    store(build(9, owner=owner_of(alice), workflow="=cmd()", branch="@x", commit="-1"))
    client = client_of(alice)
    key = analysed(client, compare={})
    answer = client.get(f"/api/v1/analysis/{key}/csv", headers={"Accept": "text/csv"})
    assert (answer.status_code, answer["Content-Type"], answer.streaming) == (200, "text/csv; charset=utf-8", True)
    table = list(csv.reader(io.StringIO(answer.getvalue().decode())))
    assert table[0] == ["section", "project", "workflow", "branch", "period", "measure", "value"]
    assert not [cell for row in table for cell in row if cell.startswith(("=", "@"))]
    assert ["flaky", "acme/shop", "'=cmd()", "", "", "latest_commit", "'-1"] in table
    assert ["failure_rate_by_branch", "acme/shop", "", "'@x", "", "failure_rate", "0.666667"] in table
    assert len(table) == 1 + len(list(rows(Analysis.objects.get(pk=key).result)))


def test_there_is_no_csv_before_the_result(alice: User) -> None:
    client = client_of(alice)
    key = post(client).json()["id"]
    answer = client.get(f"/api/v1/analysis/{key}/csv")
    assert (answer.status_code, answer.json()["code"]) == (409, "analysis_not_finished")


def test_a_repeated_request_with_one_key_starts_one(alice: User) -> None:
    client = client_of(alice)
    answers = [client.post("/api/v1/analyze", ASKED, format="json", headers={"Idempotency-Key": "k"}).json()["id"] for _ in range(2)]
    assert len(set(answers)) == Analysis.objects.count() == 1


def test_requests_take_as_many_statements_with_many_builds(alice: User) -> None:
    client = client_of(alice)
    post(client)
    counts = []
    for number in (1, 30):
        store(*(build(n, owner=owner_of(alice)) for n in range(number)))
        with CaptureQueriesContext(connection) as captured:
            post(client)
            client.get("/api/v1/analysis")
        counts.append(statements(captured))
    assert counts[0] == counts[1]
