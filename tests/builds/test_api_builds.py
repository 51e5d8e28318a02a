from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from builds.models import Build
from core.models import Event
from tests.access.keys import client_of
from tests.builds.kit import at, row, store, told
from tests.factories import RepositoryFactory, owner_of, statements

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice)


def post(client: APIClient, *builds: Any, **more: Any) -> Any:
    return client.post("/api/v1/builds", {"builds": list(builds), **more}, format="json")


def some(**values: Any) -> dict[str, Any]:
    return {"build_id": "1", "project": "acme/shop", "status": "passed", "started_at": "2026-11-20T09:00:00Z"} | values


def test_it_stores_what_ci_reports(client: APIClient, alice: User) -> None:
    shop = RepositoryFactory(owner=owner_of(alice), full_name="acme/shop")
    answer = post(client, some(duration_seconds=30, build_id=4711, commit=None))
    assert (answer.status_code, answer.json()) == (201, {"created": 1, "updated": 0, "unchanged": 0, "rejected": []})
    listed = client.get("/api/v1/builds").json()["results"]
    assert [(one["build_id"], one["source"], one["status"], one["conclusion"]) for one in listed] == [("4711", "api", "success", "passed")]
    assert (listed[0]["repository"], listed[0]["owner"], listed[0]["finished_at"]) == (str(shop.id), "user:alice", "2026-11-20T09:00:30Z")
    assert client.get(f"/api/v1/builds/{listed[0]['id']}").json() == listed[0]
    assert told() == [("completed", "4711")]


def test_it_says_what_became_of_each(client: APIClient) -> None:
    post(client, some(), some(build_id="2", status="running"))
    rows = [some(), some(build_id="2"), some(build_id="3"), some(build_id="4", stauts="x"), "text", some(project=None), some(status="boom")]
    answer = post(client, *rows)
    body = answer.json()
    assert (answer.status_code, body["created"], body["updated"], body["unchanged"]) == (201, 1, 1, 1)
    assert [(one["index"], one["field"]) for one in body["rejected"]] == [(3, "stauts"), (4, ""), (5, "project"), (6, "status")]
    assert body["rejected"][0]["reason"].startswith("is not a known field.")
    assert Build.objects.count() == 3


def test_when_all_are_wrong_it_is_an_error_in_the_one_shape(client: APIClient) -> None:
    answer = post(client, some(status="boom"), some(attempt=0), *[some(build_id="")] * 30)
    body = answer.json()
    assert (answer.status_code, body["code"], len(body["fields"])) == (400, "invalid", 20)
    assert list(body["fields"])[:2] == ["builds.0.status", "builds.1.attempt"]
    assert body["message"].endswith("32 builds are wrong. Nothing was stored.")
    assert not Build.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("build_id", True), ("build_id", 1.5), ("started_at", 5), ("started_at", "0001-01-01T00:00:00+14:00"), ("duration_seconds", -1),
        ("duration_seconds", "5"), ("tests_run", 2**31), ("extra", []), ("extra", {"a": "x" * 20_001}), ("extra", {"a": "\ud800"}),
        ("url", "javascript:alert(1)"), ("branch", "a\0b"), ("branch", "\ud800"), ("source", ""), ("is_pull_request", "yes"),
    ],
)  # fmt: skip
def test_it_refuses(client: APIClient, field: str, value: Any) -> None:
    body = post(client, some(), some(**{"build_id": "2", field: value})).json()
    assert [(one["index"], one["field"]) for one in body["rejected"]] == [(1, field)]


@pytest.mark.parametrize("body", [{}, [], {"builds": {}}, {"builds": []}, {"builds": [some()], "x": 1}, {"builds": [some()], "publish": 1}])
def test_it_refuses_another_body(client: APIClient, body: Any) -> None:
    assert client.post("/api/v1/builds", body, format="json").status_code == 400
    assert post(client, *[some()] * 1001).status_code == 400


def test_the_past_can_be_stored_in_silence(client: APIClient) -> None:
    assert post(client, some(status="failed"), publish=False).status_code == 201
    assert not Event.objects.exists()


def test_an_idempotency_key_answers_alike(client: APIClient) -> None:
    first = client.post("/api/v1/builds", {"builds": [some()]}, format="json", HTTP_IDEMPOTENCY_KEY="k")
    again = client.post("/api/v1/builds", {"builds": [some()]}, format="json", HTTP_IDEMPOTENCY_KEY="k")
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())


def test_another_owners_builds_are_out_of_reach(client: APIClient, charlie: User, admin: User) -> None:
    RepositoryFactory(owner=owner_of(charlie), full_name="acme/theirs")
    answer = post(client, some(), some(project="acme/theirs"))
    assert [(one["index"], one["field"]) for one in answer.json()["rejected"]] == [(1, "project")]
    strangers = post(client_of(charlie), some(), some(build_id="2"))
    assert [(one["index"], one["field"]) for one in strangers.json()["rejected"]] == [(0, "build_id")]
    assert post(client_of(admin), some(commit="abc")).json()["updated"] == 1
    assert [one["build_id"] for one in client.get("/api/v1/builds").json()["results"]] == ["1"]


def test_it_lists_what_is_asked_for(client: APIClient, alice: User) -> None:
    shop = RepositoryFactory(owner=owner_of(alice), full_name="acme/shop")
    store(
        row("1", "failure", minute=0, commit="abc"), row("2", minute=5, branch="dev"), row("3", minute=9, workflow="deploy"),
        row("4", source="jenkins", minute=20),
    )  # fmt: skip

    def ids(**parameters: Any) -> str:
        answer = client.get("/api/v1/builds", parameters)
        assert answer.status_code == 200, answer.content
        return "".join(one["build_id"] for one in answer.json()["results"])

    assert ids() == ids(project="acme/shop") == ids(repository=str(shop.id)) == "4321"
    assert (ids(project="acme/other"), ids(status="failure"), ids(source="jenkins"), ids(commit="abc")) == ("", "1", "4", "1")
    assert (ids(project="acme/shop", branch="dev"), ids(repository=str(shop.id), workflow="deploy")) == ("2", "3")
    assert ids(since=at(5).isoformat(), until=at(20).isoformat()) == "32"
    assert ids(since="2003-08-06T07:59:03+16:43") == "4321"  # an offset that PostgreSQL refuses
    for wrong in ({"branch": "main"}, {"workflow": "test"}, {"status": "boom"}, {"colour": "red"}, {"since": "0001-01-01T00:00:00+16:43"}):
        assert client.get("/api/v1/builds", wrong).status_code == 400


def test_statements_do_not_grow_with_the_builds(client: APIClient) -> None:
    def spent(count: int, start: int) -> int:
        rows = [some(build_id=str(start + number), project=f"acme/{number}", status="failed") for number in range(count)]
        with CaptureQueriesContext(connection) as queries:
            assert post(client, *rows, publish=False).json()["created"] == count
        return statements(queries)

    spent(1, 0)  # the caller's owner row is there from now on
    assert spent(2, 10) == spent(500, 1000)

    def listed(size: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert len(client.get("/api/v1/builds", {"page_size": size}).json()["results"]) == size
        return statements(queries)

    assert listed(1) == listed(50)
