from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from access.models import AuditEntry
from core.http import limits
from core.models import Circuit, QuotaUsage, RequestLog
from integrations.models import Integration
from tests.access.keys import client_of
from tests.core.door_stub import Service, http, serving
from tests.factories import owner_of, statements
from tests.integrations.services_kit import TOKEN, make_integration

pytestmark = pytest.mark.django_db
PATH = "/api/v1/integrations"
BODY: dict[str, Any] = {
    "name": "Tracker",
    "type": "http",
    "config": {"base_url": "https://api.example.com/v1", "auth": "bearer"},
    "credentials": {"token": TOKEN},
}
NEW = "new-token-b83e20"
CALLS = (
    ("get", ""), ("patch", ""), ("delete", ""), ("get", "/requests"), ("get", "/quota"), ("get", "/circuit"), ("post", "/test"),
    ("post", "/rotate-credentials"), ("post", "/restore-credentials"), ("post", "/circuit/reset"),
)  # fmt: skip


@pytest.fixture
def service(settings: Any) -> Iterator[Service]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with serving() as running:
        yield running


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice)


def post(client: APIClient, path: str = "", body: Any = None, **headers: str) -> Any:
    return client.post(f"{PATH}{path}", {} if body is None else body, format="json", headers=headers)


def test_it_creates_one_and_shows_no_secret(client: APIClient) -> None:
    answer = post(client, body=BODY | {"quota_limit": 100, "metadata": {"ticket": "OPS-1"}})
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body["credentials"] == {"token": {"set": True}, "secret_headers": {"set": False}}
    assert (body["owner"], body["category"], body["health"], body["circuit"]) == ("user:alice", "development", "unknown", "closed")
    assert (body["environment"], body["criticality"], body["quota_limit"]) == ("production", "important", 100)
    assert body["config"]["health_method"] == "GET"
    assert TOKEN not in answer.content.decode()
    assert client.get(f"{PATH}/{body['id']}").json() == body
    assert client.get(PATH).json()["results"] == [body]
    assert Integration.objects.get().credentials == {"token": TOKEN}


def test_what_was_read_can_be_sent_back(client: APIClient) -> None:
    body = post(client, body=BODY).json()
    for method in (client.put, client.patch):
        answer = method(f"{PATH}/{body['id']}", body, format="json")
        assert (answer.status_code, answer.json()) == (200, body)
    assert not AuditEntry.objects.filter(object_type="integration", verb="changed").exists()
    assert Integration.objects.get().credentials == {"token": TOKEN}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"), ({"name": "\n"}, "name"), ({"name": 5}, "name"), ({"type": "pigeon"}, "type"), ({"type": None}, "type"),
        ({"config": []}, "config"), ({"config": {"base_url": 5}}, "config.base_url"), ({"config": None}, "config"),
        ({"config": BODY["config"] | {"colour": "x"}}, "config.colour"), ({"config": BODY["config"] | {"token": "x"}}, "config.token"),
        ({"config": {"base_url": "http://api.example.com"}}, "config.base_url"),
        ({"config": {"base_url": "https://127.0.0.1/"}}, "config.base_url"),
        ({"credentials": {}}, "credentials.token"), ({"credentials": {"token": None}}, "credentials.token"),
        ({"credentials": None}, "credentials"),
        ({"credentials": {"token": {"set": "x"}}}, "credentials.token"), ({"credentials": "x"}, "credentials"),
        ({"category": "x"}, "category"), ({"environment": 1}, "environment"), ({"criticality": "x"}, "criticality"),
        ({"status": "x"}, "status"),
        ({"quota_limit": 0}, "quota_limit"), ({"quota_limit": 2**31}, "quota_limit"), ({"quota_limit": True}, "quota_limit"),
        ({"quota_window_seconds": 0}, "quota_window_seconds"), ({"quota_window_seconds": None}, "quota_window_seconds"),
        ({"timeout_seconds": 121}, "timeout_seconds"), ({"sla_availability": 100.1}, "sla_availability"),
        ({"stale_seconds": -1}, "stale_seconds"),
        ({"metadata": []}, "metadata"), ({"metadata": {"a": "\x00"}}, "metadata"), ({"metadata": {"a": "\ud800"}}, "metadata"),
        ({"metadata": {"a": "x" * 17_000}}, "metadata"), ({"purpose": "x" * 2001}, "purpose"), ({"purpose": "a\x00"}, "purpose"),
        ({"credentials_expire_at": "soon"}, "credentials_expire_at"), ({"owner": "user:charlie"}, "owner"), ({"colour": 1}, "colour"),
        ({"previous_credentials": {}}, "previous_credentials"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_400_that_names_its_field(client: APIClient, charlie: User, change: dict[str, Any], field: str) -> None:
    answer = post(client, body=BODY | change)
    assert answer.status_code == 400, answer.content
    assert field in answer.json()["fields"]
    assert TOKEN not in answer.content.decode()
    assert not Integration.objects.exists()


def test_a_put_without_fields_takes_the_defaults_but_keeps_secrets(client: APIClient) -> None:
    id = post(client, body=BODY | {"quota_limit": 5, "purpose": "x", "environment": "staging", "status": "inactive"}).json()["id"]
    body = client.put(f"{PATH}/{id}", {key: BODY[key] for key in ("name", "type", "config")}, format="json").json()
    assert (body["quota_limit"], body["purpose"], body["environment"], body["status"]) == (None, "", "production", "inactive")
    assert Integration.objects.get().credentials == {"token": TOKEN}


def test_a_patch_merges_the_configuration(client: APIClient) -> None:
    id = post(client, body=BODY | {"config": BODY["config"] | {"health_path": "/up"}}).json()["id"]
    body = client.patch(f"{PATH}/{id}", {"config": {"health_path": None, "health_method": "HEAD"}}, format="json").json()
    assert (body["config"].get("health_path"), body["config"]["health_method"], body["config"]["auth"]) == (None, "HEAD", "bearer")


def test_another_host_asks_for_the_credentials_again(client: APIClient) -> None:
    id = post(client, body=BODY).json()["id"]
    change = {"config": {"base_url": "https://evil.example.com/v1"}}
    for sent in (change, change | {"credentials": {"token": {"set": True}}}):
        answer = client.patch(f"{PATH}/{id}", sent, format="json")
        assert answer.status_code == 400
        assert "entered again" in answer.json()["fields"]["credentials.token"][0]
        assert client.post(f"{PATH}/{id}/test", sent, format="json").status_code == 400
    assert client.patch(f"{PATH}/{id}", change | {"credentials": {"token": NEW}}, format="json").status_code == 200


def test_a_post_with_a_key_is_carried_out_once(client: APIClient) -> None:
    first, second = (post(client, "", BODY, **{"Idempotency-Key": "a"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert Integration.objects.count() == 1


def test_it_is_deleted(client: APIClient) -> None:
    id = post(client, body=BODY).json()["id"]
    assert client.delete(f"{PATH}/{id}").status_code == 204
    assert client.get(f"{PATH}/{id}").status_code == 404


# --- Who sees what ---


def test_a_strangers_integration_is_not_found(alice: User, bob: User, charlie: User, team: Group) -> None:
    row, shared = make_integration(alice, "https://api.example.com"), make_integration(team, "https://api.example.com")
    for stranger in (client_of(bob), client_of(charlie), client_of(team)):
        for method, path in CALLS:
            assert getattr(stranger, method)(f"{PATH}/{row.id}{path}").status_code == 404, path
    ids = {
        name: {entry["id"] for entry in client_of(user).get(PATH).json()["results"]} for name, user in (("bob", bob), ("charlie", charlie))
    }
    assert ids == {"bob": {str(shared.id)}, "charlie": set()}


def test_the_list_is_filtered(client: APIClient, alice: User, team: Group) -> None:
    make_integration(alice, "https://a.example.com", name="a")
    make_integration(
        team, "https://b.example.com", name="b", environment="test", category="security", criticality="optional", status="inactive"
    )

    def names(query: str) -> list[str]:
        answer = client.get(f"{PATH}?{query}")
        assert answer.status_code == 200, answer.content
        return [row["name"] for row in answer.json()["results"]]

    for query in ("environment=test", "category=security", "criticality=optional", "status=inactive", "owner=team:team-blue", "name=b"):
        assert names(query) == ["b"], query
    assert names("type=http") == ["b", "a"]
    assert (
        names("owner=user:nobody")
        == names("owner=nonsense")
        == names("owner=user:charlie")
        == names("type=x")
        == names("health=healthy")
        == []
    )
    for query in ("environment=x", "colour=x", "owner=", "type=%00"):
        assert client.get(f"{PATH}?{query}").status_code == 400, query


def test_pages_cost_the_same_with_more_rows(client: APIClient, alice: User) -> None:
    row = make_integration(alice, "https://a.example.com")
    log(row)
    urls = [PATH, f"{PATH}/{row.id}", f"{PATH}/{row.id}/requests", f"{PATH}/{row.id}/quota", f"{PATH}/{row.id}/circuit"]

    def count(url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        return statements(queries)

    client.get(PATH)
    before = {url: count(url) for url in urls}
    for number in range(4):
        log(make_integration(alice, "https://a.example.com", name=f"more {number}"))
        log(row)
    assert {url: count(url) for url in urls} == before


def test_one_that_cannot_be_decrypted_hides_no_other(client: APIClient, alice: User, settings: Any) -> None:
    make_integration(alice, "https://a.example.com", name="old")
    settings.FERNET_KEYS = ["another key"]
    make_integration(alice, "https://a.example.com", name="new")
    found = {row["name"]: row["credentials"] for row in client.get(PATH).json()["results"]}
    assert found == {"old": None, "new": {"token": {"set": True}, "secret_headers": {"set": False}}}


# --- What it does ---


def test_a_test_answers_what_it_found(client: APIClient, alice: User, service: Service) -> None:
    row = make_integration(alice, service.url)
    service.says(http(200), http(401, b'{"token": "%s"}' % TOKEN.encode()))
    body = post(client, f"/{row.id}/test").json()
    assert (body["ok"], body["error_class"], body["details"]["status"]) == (True, "", 200)
    answer = post(client, f"/{row.id}/test")
    assert (answer.status_code, answer.json()["ok"]) == (200, False)
    assert answer.json()["message"]
    assert TOKEN not in answer.content.decode()


def test_unsaved_values_are_tested(client: APIClient, alice: User, service: Service) -> None:
    row = make_integration(alice, service.url)
    assert post(client, f"/{row.id}/test", {"credentials": {"token": NEW}, "config": {"health_path": "/up"}}).json()["ok"]
    assert b"GET /up" in service.requests[-1]
    assert NEW.encode() in service.requests[-1]
    new = {"name": "n", "type": "http", "config": {"base_url": service.url}}
    assert post(client, "/test", new).json()["ok"]
    assert post(client, "/test", new | {"config": {}}).status_code == 400
    assert post(client, f"/{row.id}/test", {"config": {"colour": 1}}).status_code == 400
    assert post(client, f"/{row.id}/test", {"name": "x"}).status_code == 400
    assert Integration.objects.count() == 1


def test_credentials_are_rotated_and_restored(client: APIClient, alice: User, service: Service) -> None:
    row = make_integration(alice, service.url)
    answer = post(client, f"/{row.id}/rotate-credentials", {"credentials": {"token": NEW}, "overlap_hours": 1})
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["changed"], body["tested"], body["credentials"]["token"]) == (["token"], True, {"set": True})
    assert NEW.encode() in service.requests[-1]
    assert client.get(f"{PATH}/{row.id}").json()["previous_credentials_until"] == body["previous_credentials_until"]
    assert post(client, f"/{row.id}/restore-credentials").status_code == 200
    assert Integration.objects.get().credentials == {"token": TOKEN}
    for shown in (answer.content.decode(), str(list(AuditEntry.objects.values()))):
        assert NEW not in shown
        assert TOKEN not in shown


def test_a_rotation_that_fails_is_a_409_that_says_why(client: APIClient, alice: User, service: Service) -> None:
    row = make_integration(alice, service.url)
    service.says(http(401))
    answer = post(client, f"/{row.id}/rotate-credentials", {"credentials": {"token": NEW}})
    assert (answer.status_code, answer.json()["code"]) == (409, "check_failed")
    assert Integration.objects.get().credentials == {"token": TOKEN}
    assert post(client, f"/{row.id}/rotate-credentials", {"credentials": {"token": NEW}, "force": True}).json()["tested"] is False
    assert post(client, f"/{row.id}/restore-credentials", {"x": 1}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [{}, {"credentials": None}, {"credentials": []}, {"credentials": {"token": 5}}, {"credentials": {"token": NEW}, "overlap_hours": -1},
     {"credentials": {"token": NEW}, "force": "yes"}, {"credentials": {"token": TOKEN}}, {"token": NEW}],
)  # fmt: skip
def test_a_wrong_rotation_is_a_400(client: APIClient, alice: User, service: Service, body: Any) -> None:
    row = make_integration(alice, service.url)
    assert post(client, f"/{row.id}/rotate-credentials", body).status_code == 400
    assert service.requests == []


def test_nothing_to_restore_is_a_409(client: APIClient, alice: User) -> None:
    row = make_integration(alice, "https://a.example.com")
    answer = post(client, f"/{row.id}/restore-credentials")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_previous")


def log(row: Integration, **values: Any) -> RequestLog:
    given = {"method": "GET", "url": "https://a.example.com/", "outcome": "success", "started_at": timezone.now()} | values
    return RequestLog.objects.create(integration_id=row.id, owner_id=row.owner_id, **given)


def test_its_calls_are_listed_newest_first(client: APIClient, alice: User) -> None:
    row = make_integration(alice, "https://a.example.com")
    calls = [log(row), log(row, outcome="failed", purpose="gateway", endpoint="get-issue"), log(row, status_code=404, outcome="unexpected")]
    log(make_integration(alice, "https://b.example.com"))

    def ids(query: str = "") -> list[str]:
        return [entry["id"] for entry in client.get(f"{PATH}/{row.id}/requests?{query}").json()["results"]]

    assert ids() == [str(call.id) for call in reversed(calls)]
    for query in ("outcome=failed", "purpose=gateway", "endpoint=get-issue"):
        assert ids(query) == [str(calls[1].id)], query
    assert ids("status_code=404") == [str(calls[2].id)]
    assert ids("until=2020-01-01T00:00:00Z") == []
    first = client.get(f"{PATH}/{row.id}/requests?page_size=2").json()
    assert [entry["id"] for entry in client.get(first["next"]).json()["results"]] == [str(calls[0].id)]
    for query in ("outcome=x", "since=x", "status_code=x", "status_code=99", "colour=x"):
        assert client.get(f"{PATH}/{row.id}/requests?{query}").status_code == 400, query


def test_it_tells_its_quota_and_rate(client: APIClient, alice: User) -> None:
    row = make_integration(alice, "https://a.example.com", quota_limit=10, quota_window_seconds=86_400, rate_per_minute=3)
    body = client.get(f"{PATH}/{row.id}/quota").json()
    assert (body["quota"]["used"], body["quota"]["remaining"], body["rate"]["remaining"]) == (0, 10, 3)
    now = timezone.now()
    QuotaUsage.objects.create(
        integration_id=row.id, window_start=limits.window_start(now, 86_400), window_seconds=86_400, used=10, limit=10
    )
    QuotaUsage.objects.create(integration_id=row.id, window_start=limits.window_start(now, 86_400), window_seconds=7200, used=3, limit=10)
    body = client.get(f"{PATH}/{row.id}/quota").json()
    assert (body["quota"]["used"], body["quota"]["remaining"], body["quota"]["window_seconds"]) == (10, 0, 86_400)
    assert body["quota"]["resets_at"] > body["quota"]["window_start"]
    unlimited = client.get(f"{PATH}/{make_integration(alice, 'https://a.example.com').id}/quota").json()
    assert (unlimited["quota"]["limit"], unlimited["quota"]["remaining"], unlimited["rate"]["limit"]) == (None, None, None)


def test_its_breaker_is_shown_and_reset(client: APIClient, alice: User) -> None:
    row = make_integration(alice, "https://a.example.com")
    assert client.get(f"{PATH}/{row.id}/circuit").json()["state"] == "closed"
    Circuit.objects.create(integration_id=row.id, state="open", failures=5, last_error="down", hold_until=timezone.now())
    assert client.get(f"{PATH}/{row.id}/circuit").json()["failures"] == 5
    assert client.get(f"{PATH}/{row.id}").json()["circuit"] == "open"
    assert post(client, f"/{row.id}/circuit/reset").json()["state"] == "closed"
    assert AuditEntry.objects.get(action="reset-breaker").owner_id == owner_of(alice).id
    assert client.get(f"{PATH}/{row.id}").json()["circuit"] == "closed"


def test_an_id_that_is_none_is_a_404(client: APIClient) -> None:
    for id in (uuid.uuid4(), "x", "test-x"):
        assert client.get(f"{PATH}/{id}").status_code == 404
