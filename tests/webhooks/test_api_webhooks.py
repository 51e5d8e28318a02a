from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from core.http.custom_headers import MASK
from core.ids import uuid7
from core.models import Event
from tests.access.keys import client_of
from tests.factories import EventFactory, RepositoryFactory, WebhookFactory, owner_of, statements
from webhooks.choices import BreakerState, HoldReason, Lane
from webhooks.models import DueHint, Lease, Webhook, WebhookDelivery, WebhookState
from webhooks.secrets import new_secret, signing_secrets

pytestmark = pytest.mark.django_db
MINIMAL = {"name": "hook", "url": "https://example.com/hook?token=sesame", "events": ["finding.opened", "scan.*"]}
FULL = {
    **MINIMAL,
    "filter": {"severity": "high"},
    "routing": {"branches": ["main"], "digest": {"window_seconds": 60, "key": ["branch"]}, "expires_after": 600},
    "headers": {"Authorization": "Bearer sesame"},
    "retry_config": {"schedule": [5, 60]},
    "rate_limit": 2.5,
    "concurrency": 7,
    "priority": "high",
}


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice)


def post(client: APIClient, path: str, body: Any = None) -> Any:
    return client.post(f"/api/v1/{path}", {} if body is None else body, format="json")


def created(client: APIClient, **more: Any) -> dict[str, Any]:
    answer = post(client, "webhooks", MINIMAL | more)
    assert answer.status_code == 201, answer.json()
    found: dict[str, Any] = answer.json()
    return found


# --- create and read --------------------------------------------------------------------------------------------------


def test_creating_answers_the_secret_and_reading_does_not(client: APIClient, alice: User) -> None:
    answer = post(client, "webhooks", FULL)
    assert answer.status_code == 201
    body = answer.json()
    stored = Webhook.objects.get()
    assert body["secret"] == stored.secrets[0]["secret"]
    assert body["owner"] == "user:alice"
    assert body["headers"] == {"Authorization": MASK}
    for name in ("name", "url", "events", "filter", "routing", "retry_config", "rate_limit", "concurrency", "priority"):
        assert body[name] == FULL[name]
    assert (body["status"], body["repositories"]) == ("active", [])
    assert (body["digest_waiting"], body["digest_due_at"], stored.expires_after) == (0, None, 600)
    del body["secret"]
    assert client.get(f"/api/v1/webhooks/{body['id']}").json() == body
    listed = client.get("/api/v1/webhooks").json()
    assert listed == {"results": [body], "next": None, "previous": None}
    assert stored.owner_id == owner_of(alice).id
    assert stored.priority == Lane.HIGH


def test_the_defaults_are_shown(client: APIClient) -> None:
    body = created(client)
    shown = {name: body[name] for name in ("filter", "headers", "retry_config", "rate_limit", "concurrency", "priority", "inactive_reason")}
    assert shown == {
        "filter": None, "headers": {}, "retry_config": None, "rate_limit": None, "concurrency": 50, "priority": "normal",
        "inactive_reason": "",
    }  # fmt: skip


def test_a_secret_can_be_brought_along(client: APIClient) -> None:
    secret = new_secret()
    assert created(client, secret=secret)["secret"] == secret


def test_it_can_be_limited_to_visible_repositories(client: APIClient, alice: User, charlie: User) -> None:
    mine, theirs = RepositoryFactory(owner=owner_of(alice)), RepositoryFactory(owner=owner_of(charlie))
    assert created(client, repositories=[str(mine.id)])["repositories"] == [str(mine.id)]
    answer = post(client, "webhooks", MINIMAL | {"repositories": [str(theirs.id)]})
    assert answer.status_code == 400
    assert "repositories" in answer.json()["fields"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"unknown": 1}, "unknown"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://10.1.2.3/"}, "url"),
        ({"url": "http://example.com/"}, "url"),
        ({"events": []}, "events"),
        ({"events": "scan.*"}, "events"),
        ({"events": ["nothing.here"]}, "events"),
        ({"events": ["delivery.*"]}, "events"),
        ({"events": [1]}, "events"),
        ({"filter": {"a": {"$near": 1}}}, "filter"),
        ({"filter": []}, "filter"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"headers": ["x"]}, "headers"),
        ({"headers": {"X-A": 5}}, "headers"),
        ({"retry_config": {"schedule": [0]}}, "retry_config"),
        ({"retry_config": "x"}, "retry_config"),
        ({"rate_limit": 0}, "rate_limit"),
        ({"rate_limit": "5"}, "rate_limit"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 501}, "concurrency"),
        ({"concurrency": None}, "concurrency"),
        ({"priority": "urgent"}, "priority"),
        ({"priority": 0}, "priority"),
        ({"status": "paused"}, "status"),
        ({"secret": None}, "secret"),
        ({"secret": ""}, "secret"),
        ({"secret": "short"}, "secret"),
        ({"repositories": ["x"]}, "repositories"),
        ({"repositories": [str(uuid7())]}, "repositories"),
        ({"owner": "user:charlie"}, "owner"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"filter": {"a": "\ud800"}}, "filter"),
        ({"routing": {"branches": ["\ud800"]}}, "routing.branches"),
    ],
)
def test_a_wrong_value_is_a_400_that_names_its_field(client: APIClient, charlie: User, change: dict[str, Any], field: str) -> None:
    answer = post(client, "webhooks", MINIMAL | change)
    assert answer.status_code == 400, answer.content
    assert set(answer.json()["fields"]) == {field} or next(iter(answer.json()["fields"])).startswith(field)
    assert not Webhook.objects.exists()


def test_a_refused_address_names_the_setting(client: APIClient) -> None:
    answer = post(client, "webhooks", MINIMAL | {"url": "https://169.254.169.254/latest"})
    assert "EGRESS_ALLOW_CIDRS" in answer.json()["message"]


def test_admins_make_webhooks_of_nobody_and_of_anybody(alice: User) -> None:
    admins = client_of(None)
    assert created(admins)["owner"] is None
    assert created(admins, owner="user:alice")["owner"] == "user:alice"


def test_a_team_member_makes_webhooks_of_the_team(client: APIClient, team: Group) -> None:
    assert created(client, owner="team:team-blue")["owner"] == "team:team-blue"


# --- whose it is ------------------------------------------------------------------------------------------------------

ROUTES = [
    ("get", ""), ("put", ""), ("patch", ""), ("delete", ""), ("post", "/test"), ("post", "/rotate-secret"), ("post", "/enable"),
    ("post", "/disable"), ("get", "/stats"), ("get", "/deliveries"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_a_strangers_webhook_is_not_found(alice: User, charlie: User, method: str, route: str) -> None:
    hook = WebhookFactory(owner=owner_of(alice))
    answer = getattr(client_of(charlie), method)(f"/api/v1/webhooks/{hook.id}{route}", MINIMAL if method == "put" else {}, format="json")
    assert answer.status_code == 404
    assert Webhook.objects.get().deleted_at is None


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_a_deleted_webhook_is_not_found(client: APIClient, alice: User, method: str, route: str) -> None:
    hook = WebhookFactory(owner=owner_of(alice), deleted_at=timezone.now())
    assert getattr(client, method)(f"/api/v1/webhooks/{hook.id}{route}", {}, format="json").status_code == 404


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_an_auditor_reads_and_changes_nothing(alice: User, auditor: User, method: str, route: str) -> None:
    hook = WebhookFactory(owner=owner_of(alice))
    answer = getattr(client_of(auditor), method)(f"/api/v1/webhooks/{hook.id}{route}", {}, format="json" if method != "get" else None)
    assert answer.status_code == (200 if method == "get" else 403)


def test_who_may_not_write_sees_urls_without_credentials(client: APIClient, auditor: User) -> None:
    created(client)
    assert client.get("/api/v1/webhooks").json()["results"][0]["url"] == MINIMAL["url"]
    assert "sesame" not in client_of(auditor).get("/api/v1/webhooks").content.decode()


@pytest.mark.parametrize("scope", ["webhooks:read", "events:write"])
def test_a_key_without_the_scope_may_not_write(alice: User, scope: str) -> None:
    assert post(client_of(alice, scope), "webhooks", MINIMAL).status_code == 403


# --- change -----------------------------------------------------------------------------------------------------------


def test_put_gives_what_is_left_out_its_default_and_keeps_secrets(client: APIClient) -> None:
    body = post(client, "webhooks", FULL).json()
    answer = client.put(f"/api/v1/webhooks/{body['id']}", MINIMAL | {"name": "other"}, format="json")
    assert answer.status_code == 200
    assert "secret" not in answer.json()
    stored = Webhook.objects.get()
    assert (stored.name, stored.filter, stored.rate_limit, stored.concurrency, stored.priority) == ("other", None, None, 50, Lane.NORMAL)
    assert stored.headers == {"Authorization": "Bearer sesame"}
    assert stored.secrets[0]["secret"] == body["secret"]


def test_what_was_read_can_be_sent_back(client: APIClient) -> None:
    body = post(client, "webhooks", FULL).json()
    shown = client.get(f"/api/v1/webhooks/{body['id']}").json()
    for method in (client.put, client.patch):
        answer = method(f"/api/v1/webhooks/{body['id']}", shown, format="json")
        assert answer.status_code == 200, answer.json()
        assert answer.json() == shown
    stored = Webhook.objects.get()
    assert stored.headers == {"Authorization": "Bearer sesame"}
    assert stored.secrets == [{"secret": body["secret"], "expires_at": None}]
    assert not Event.objects.filter(type="webhook.updated").exists()


def test_patch_changes_what_is_sent(client: APIClient) -> None:
    body = post(client, "webhooks", FULL).json()
    answer = client.patch(f"/api/v1/webhooks/{body['id']}", {"rate_limit": None, "priority": "low"}, format="json").json()
    assert (answer["rate_limit"], answer["priority"], answer["concurrency"]) == (None, "low", 7)


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_null_secret_is_refused(client: APIClient, method: str) -> None:
    body = created(client)
    answer = getattr(client, method)(f"/api/v1/webhooks/{body['id']}", MINIMAL | {"secret": None}, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["secret"]


def test_a_new_secret_sent_along_replaces_the_old_one_with_overlap(client: APIClient) -> None:
    body, secret = created(client), new_secret()
    answer = client.patch(f"/api/v1/webhooks/{body['id']}", {"secret": secret}, format="json")
    assert "secret" not in answer.json()
    assert signing_secrets(Webhook.objects.get().secrets, timezone.now()) == [secret, body["secret"]]


def test_the_owner_stays(client: APIClient, alice: User, team: Group) -> None:
    body = created(client)
    answer = client.patch(f"/api/v1/webhooks/{body['id']}", {"owner": "team:team-blue"}, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["owner"]


def test_a_scope_of_repositories_that_moved_away_can_be_sent_back(client: APIClient, alice: User, charlie: User) -> None:
    shop = RepositoryFactory(owner=owner_of(alice))
    body = created(client, repositories=[str(shop.id)])
    shop.owner = owner_of(charlie)
    shop.save()
    answer = client.patch(f"/api/v1/webhooks/{body['id']}", {"repositories": [str(shop.id)], "name": "other"}, format="json")
    assert answer.status_code == 200
    assert answer.json()["repositories"] == [str(shop.id)]


def test_deleting_hides_it(client: APIClient) -> None:
    body = created(client)
    assert client.delete(f"/api/v1/webhooks/{body['id']}").status_code == 204
    assert client.get(f"/api/v1/webhooks/{body['id']}").status_code == 404
    assert client.get("/api/v1/webhooks").json()["results"] == []


# --- actions ----------------------------------------------------------------------------------------------------------


def test_a_test_answers_its_delivery(client: APIClient) -> None:
    body = created(client)
    answer = post(client, f"webhooks/{body['id']}/test", {"event_type": "gate.failed"})
    assert answer.status_code == 202
    delivery = answer.json()
    assert (delivery["webhook"], delivery["event_type"], delivery["trigger"], delivery["status"]) == (
        body["id"],
        "gate.failed",
        "test",
        "pending",
    )
    assert client.get(f"/api/v1/deliveries/{delivery['id']}").status_code == 200


def test_a_test_of_an_inactive_webhook_is_a_conflict(client: APIClient) -> None:
    body = created(client, status="inactive")
    assert post(client, f"webhooks/{body['id']}/test").status_code == 409


def test_rotating_answers_the_new_secret(client: APIClient) -> None:
    body = created(client)
    answer = post(client, f"webhooks/{body['id']}/rotate-secret", {"overlap_hours": 0})
    assert answer.status_code == 200
    assert answer.json()["secret"] != body["secret"]
    assert Webhook.objects.get().secrets == [{"secret": answer.json()["secret"], "expires_at": None}]


@pytest.mark.parametrize(
    "change", [{"overlap_hours": -1}, {"overlap_hours": "x"}, {"overlap_hours": 721}, {"secret": None}, {"secret": "x"}, {"x": 1}]
)
def test_a_wrong_rotation_changes_nothing(client: APIClient, change: dict[str, Any]) -> None:
    body = created(client)
    assert post(client, f"webhooks/{body['id']}/rotate-secret", change).status_code == 400
    assert Webhook.objects.get().secrets[0]["secret"] == body["secret"]


def test_it_is_switched_off_and_on(client: APIClient) -> None:
    body = created(client)
    off = post(client, f"webhooks/{body['id']}/disable").json()
    assert (off["status"], off["inactive_reason"]) == ("inactive", "by_user")
    on = post(client, f"webhooks/{body['id']}/enable").json()
    assert (on["status"], on["inactive_reason"]) == ("active", "")


@pytest.mark.parametrize("route", ["enable", "disable"])
def test_switching_takes_no_fields(client: APIClient, route: str) -> None:
    body = created(client)
    assert post(client, f"webhooks/{body['id']}/{route}", {"reason": "x"}).status_code == 400


# --- stats ------------------------------------------------------------------------------------------------------------


def _delivery(hook: Webhook, due_in: float = -1, **more: Any) -> WebhookDelivery:
    at = timezone.now() + timedelta(seconds=due_in)
    return WebhookDelivery.objects.create(webhook=hook, event=EventFactory(), event_type="custom.a", next_attempt_at=at, **more)


def _stats(client: APIClient, hook: Webhook) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/v1/webhooks/{hook.id}/stats").json()
    return found


def test_stats_add_hints_that_were_not_folded_yet(client: APIClient, alice: User) -> None:
    hook = WebhookFactory(owner=owner_of(alice))
    WebhookState.objects.update(pending_count=2, success_count=5, failed_count=3, cancelled_count=1)
    DueHint.objects.create(webhook_id=hook.id, due_at=timezone.now(), count=4)
    found = _stats(client, hook)
    assert (found["pending"], found["parked"], found["success"], found["failed"], found["cancelled"]) == (6, 0, 5, 3, 1)


def test_a_finished_delivery_counts_off_even_before_its_hint_is_folded(client: APIClient, alice: User) -> None:
    hook = WebhookFactory(owner=owner_of(alice))
    WebhookState.objects.update(pending_count=-1, success_count=1)
    DueHint.objects.create(webhook_id=hook.id, due_at=timezone.now(), count=1)
    assert _stats(client, hook)["pending"] == 0


@pytest.mark.parametrize(
    "state",
    [
        {"enabled": False},
        {"hold_until": timezone.now() + timedelta(hours=1), "hold_reason": HoldReason.BREAKER, "breaker": BreakerState.OPEN},
        {"hold_until": timezone.now() + timedelta(hours=1), "hold_reason": HoldReason.RETRY_AFTER},
    ],
)
def test_due_deliveries_of_a_disabled_or_held_webhook_are_parked(client: APIClient, alice: User, state: dict[str, Any]) -> None:
    hook = WebhookFactory(owner=owner_of(alice))
    due = [_delivery(hook), _delivery(hook, -50)]
    later, leased = _delivery(hook, 500), _delivery(hook)
    Lease.objects.create(delivery_id=leased.id, webhook_id=hook.id, owner=uuid7(), token=uuid7())
    WebhookState.objects.update(pending_count=4, **state)
    found = _stats(client, hook)
    assert (found["parked"], found["pending"], found["in_flight"]) == (2, 2, 1)
    assert found["oldest_parked_at"] is not None
    assert found["oldest_pending_at"] is None
    shown = {row["id"]: row["parked"] for row in client.get(f"/api/v1/webhooks/{hook.id}/deliveries").json()["results"]}
    assert shown == {str(due[0].id): True, str(due[1].id): True, str(later.id): False, str(leased.id): False}


@pytest.mark.parametrize(
    "state",
    [{}, {"hold_until": timezone.now() - timedelta(hours=1), "hold_reason": HoldReason.BREAKER},
     {"hold_until": timezone.now() + timedelta(hours=1), "hold_reason": HoldReason.RATE_LIMIT}],
)  # fmt: skip
def test_nothing_is_parked_without_a_hold_after_it_and_by_a_rate_limit(client: APIClient, alice: User, state: dict[str, Any]) -> None:
    hook = WebhookFactory(owner=owner_of(alice))
    _delivery(hook)
    WebhookState.objects.update(pending_count=1, **state)
    found = _stats(client, hook)
    assert (found["parked"], found["pending"]) == (0, 1)
    assert found["oldest_pending_at"] is not None
    assert not client.get(f"/api/v1/webhooks/{hook.id}/deliveries").json()["results"][0]["parked"]


def test_stats_take_the_same_statements_for_many_deliveries(client: APIClient, alice: User) -> None:
    hook = WebhookFactory(owner=owner_of(alice))
    WebhookState.objects.update(enabled=False)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            _stats(client, hook)
        return statements(queries)

    count()
    few = count()
    for _ in range(30):
        _delivery(hook)
    assert count() == few


def test_stats_look_at_so_many_later_deliveries_and_no_more(client: APIClient, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.backlog.LATER_COUNTED", 2)
    hook = WebhookFactory(owner=owner_of(alice))
    for _ in range(5):
        _delivery(hook, 500)
    WebhookState.objects.update(enabled=False, pending_count=5)
    found = _stats(client, hook)
    assert (found["pending"], found["parked"]) == (2, 3)


# --- lists ------------------------------------------------------------------------------------------------------------


def test_the_list_is_filtered_by_status_name_and_event(client: APIClient, alice: User) -> None:
    owner = owner_of(alice)
    WebhookFactory(owner=owner, name="scans", events=["scan.*"])
    WebhookFactory(owner=owner, name="all", events=["*", "scan.*"])
    WebhookFactory(owner=owner, name="off", events=["gate.failed"], status="inactive")

    def names(query: str) -> list[str]:
        return [row["name"] for row in client.get(f"/api/v1/webhooks?{query}").json()["results"]]

    assert names("event=scan.completed") == ["all", "scans"]
    assert names("event=gate.failed") == ["off", "all"]
    assert names("status=inactive") == ["off"]
    assert names("name=scans") == ["scans"]
    assert client.get("/api/v1/webhooks?status=paused").status_code == 400
    assert client.get("/api/v1/webhooks?colour=red").status_code == 400


@pytest.mark.parametrize("path", ["webhooks", "webhooks/{id}/deliveries", "deliveries", "events", "repositories"])
def test_a_page_takes_the_same_statements_for_many_rows(client: APIClient, alice: User, path: str) -> None:
    owner = owner_of(alice)

    def fill(number: int) -> Webhook:
        hook: Webhook = WebhookFactory(owner=owner)
        for _ in range(number):
            shop = RepositoryFactory(owner=owner)
            WebhookFactory(owner=owner).repositories.add(shop)
            _delivery(hook, owner_id=owner.id)
            EventFactory(owner=owner)
        return hook

    def count(hook: Webhook) -> tuple[int, int]:
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(f"/api/v1/{path.format(id=hook.id)}")
        return statements(queries), len(answer.json()["results"])

    count(fill(1))
    few, rows = count(fill(1))
    many, more = count(fill(12))
    assert more > rows
    assert many == few


# --- lost keys --------------------------------------------------------------------------------------------------------


LOST = ["another key entirely, of no meaning"]


def test_unreadable_headers_are_null_and_harm_no_other_webhook(client: APIClient, settings: Any) -> None:
    body = created(client, headers={"X-A": "1"})
    settings.FERNET_KEYS = LOST
    created(client, headers={"X-B": "2"})
    created(client)
    answer = client.get("/api/v1/webhooks")
    assert answer.status_code == 200, answer.json()
    assert [row["headers"] for row in answer.json()["results"]] == [{}, {"X-B": MASK}, None]
    path = f"/api/v1/webhooks/{body['id']}"
    assert client.get(path).json()["headers"] is None
    assert [post(client, f"webhooks/{body['id']}/{action}").status_code for action in ("disable", "enable")] == [200, 200]
    assert client.patch(path, {"headers": {"X-A": MASK}}, format="json").status_code == 400
    assert client.patch(path, {"headers": {"X-A": "new"}}, format="json").json()["headers"] == {"X-A": MASK}
    assert client.delete(path).status_code == 204


def test_unreadable_headers_that_are_sent_back_are_kept(client: APIClient, settings: Any) -> None:
    path, keys = f"/api/v1/webhooks/{created(client, headers={'X-A': '1'})['id']}", settings.FERNET_KEYS
    settings.FERNET_KEYS = LOST
    for method in (client.put, client.patch):
        assert method(path, client.get(path).json() | {"name": "other"}, format="json").json()["headers"] is None
    settings.FERNET_KEYS = keys
    assert Webhook.objects.get().headers == {"X-A": "1"}
    assert client.patch(path, {"headers": None}, format="json").json()["headers"] == {}


def test_an_unreadable_webhook_is_deleted(client: APIClient, settings: Any) -> None:
    body = created(client, headers={"X-A": "1"})
    settings.FERNET_KEYS = LOST
    assert client.delete(f"/api/v1/webhooks/{body['id']}").status_code == 204


def test_an_unreadable_secret_can_be_rotated_and_its_webhook_read(client: APIClient, settings: Any) -> None:
    body = created(client)
    settings.FERNET_KEYS = ["another key entirely, of no meaning"]
    Webhook.objects.update(headers=None)
    assert client.get("/api/v1/webhooks").status_code == 200
    assert post(client, f"webhooks/{body['id']}/rotate-secret").status_code == 200
