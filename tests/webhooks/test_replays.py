"""Recovering deliveries: what is chosen, how it is requeued, that the rate holds, and who steers it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from access.models import AuditEntry
from core import leases, work
from core.ids import first_id_at
from core.models.work import WorkState
from core.work import Done, Later, LeaseLost, Run
from tests.access.keys import client_of
from tests.factories import EventFactory, owner_of, statements
from tests.webhooks.engine_kit import assert_truth, due, hook
from webhooks import replaying, services
from webhooks.choices import HoldReason, Lane
from webhooks.models import Replay, Webhook, WebhookDelivery, WebhookState

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> Any:
    return timezone.now()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "_pause", lambda run, seconds: None)


def failed(to: Webhook, count: int = 1, *, minutes_ago: float = 10, status: str = "failed", **more: Any) -> list[WebhookDelivery]:
    """Insert deliveries that ended so long ago, one second apart, and count them."""
    first = timezone.now() - timedelta(minutes=minutes_ago)
    rows = []
    for number in range(count):
        event = more.get("event") or EventFactory(type=more.get("event_type", "custom.thing"))
        key = uuid.UUID(int=first_id_at(first + timedelta(seconds=number)).int | uuid.uuid4().int & (1 << 60) - 1)
        values = {"event_type": event.type, "owner_id": to.owner_id, "attempts": 3, "step": 9} | more | {"event": event}
        rows.append(WebhookDelivery(id=key, webhook=to, status=status, finished_at=first, next_attempt_at=None, **values))
    WebhookDelivery.objects.bulk_create(rows)
    state = WebhookState.objects.get(webhook=to)
    setattr(state, f"{status}_count", getattr(state, f"{status}_count") + count)
    state.save()
    return rows


def start(to: Webhook, **values: Any) -> Replay:
    return services.start_recovery(to, {"since": timezone.now() - timedelta(hours=1), **values})  # type: ignore[typeddict-item]


def claimed(replay: Replay) -> Run:
    Replay.objects.filter(pk=replay.pk).update(run_after=timezone.now() - timedelta(seconds=1))
    (row,) = work.claim(Replay, leases.register_worker("work"))
    assert row.lease_token is not None
    return Run(row, row.lease_token)


def run_all(replay: Replay, steps: int = 200) -> Replay:
    """Work it off without waiting for its rate."""
    run = claimed(replay)
    for _ in range(steps):
        Replay.objects.filter(pk=replay.pk).update(progress={})
        if replaying.step(run).ended:
            work.finish(run.row, run.token)
            break
    replay.refresh_from_db()
    return replay


def pending() -> list[WebhookDelivery]:
    return list(WebhookDelivery.objects.filter(status="pending").order_by("id"))


# --- what is sent again -----------------------------------------------------------------------------------------------


def test_what_failed_in_the_range_is_requeued_in_the_lowest_lane() -> None:
    to, other = hook(), hook()
    rows = failed(to, 3)
    failed(to, 1, minutes_ago=300)
    failed(to, 1, status="success")
    failed(to, 1, status="cancelled")
    failed(other, 1)
    replay = run_all(start(to))
    assert (replay.status, replay.state, replay.requeued, replay.skipped, replay.estimated) == ("done", "done", 3, 0, 3)
    assert [row.id for row in pending()] == [row.id for row in rows]
    assert {(row.trigger, row.lane, row.step, row.attempts, row.finished_at) for row in pending()} == {("replay", Lane.LOW, 0, 3, None)}
    assert_truth()


def test_until_statuses_and_types_narrow_it_down() -> None:
    to = hook()
    (early,) = failed(to, 1, minutes_ago=30, event_type="custom.a", status="cancelled")
    failed(to, 1, minutes_ago=20, event_type="custom.b")
    failed(to, 1, minutes_ago=5, event_type="custom.a")
    until = timezone.now() - timedelta(minutes=10)
    run_all(start(to, until=until, statuses=["failed", "cancelled"], event_types=["custom.a"]))
    assert [row.id for row in pending()] == [early.id]
    assert_truth()


@pytest.mark.parametrize(
    ("patterns", "count"), [([], 3), (["*"], 3), (["custom.*"], 2), (["custom.*", "scan.failed"], 3), (["custom.b"], 1)]
)
def test_types_may_be_wildcards(patterns: list[str], count: int) -> None:
    to = hook()
    for name in ("custom.a", "custom.b", "scan.failed"):
        failed(to, 1, event_type=name)
    assert services.preview_recovery(to, {"since": timezone.now() - timedelta(hours=1), "event_types": patterns}).count == count


def test_an_event_that_a_newer_delivery_brought_is_skipped() -> None:
    to = hook()
    event = EventFactory()
    failed(to, 1, minutes_ago=10, event=event)
    failed(to, 1, minutes_ago=5, event=event, status="success")
    replay = run_all(start(to))
    assert (replay.requeued, replay.skipped, pending()) == (0, 1, [])
    assert_truth()


def test_an_older_success_does_not_keep_a_later_failure_from_being_sent() -> None:
    to = hook()
    event = EventFactory()
    failed(to, 1, minutes_ago=10, event=event, status="success")
    (late,) = failed(to, 1, minutes_ago=5, event=event)
    run_all(start(to))
    assert [row.id for row in pending()] == [late.id]


def test_an_event_is_sent_once_however_many_of_its_deliveries_failed() -> None:
    to = hook()
    event = EventFactory()
    failed(to, 1, minutes_ago=10, event=event)
    failed(to, 1, minutes_ago=5, event=event)
    waiting = EventFactory()
    failed(to, 1, minutes_ago=7, event=waiting)
    due(to, 1, event=waiting)
    replay = run_all(start(to))
    assert (replay.requeued, replay.skipped) == (1, 2)
    assert_truth()


def test_what_succeeded_since_it_began_is_skipped() -> None:
    to = hook()
    old, new = failed(to, 2, status="success")
    replay = start(to, statuses=["success"])
    WebhookDelivery.objects.filter(id=new.id).update(finished_at=timezone.now())
    replay = run_all(replay)
    assert (replay.requeued, replay.skipped) == (1, 1)
    assert [row.id for row in pending()] == [old.id]


def test_what_fails_again_is_not_taken_twice() -> None:
    to = hook()
    _, later = failed(to, 2)
    replay = start(to, rate_per_second=0.5)
    run = claimed(replay)
    replaying.step(run)
    WebhookDelivery.objects.filter(status="pending").update(status="failed", next_attempt_at=None)
    WebhookState.objects.update(pending_count=0, failed_count=2)
    Replay.objects.update(progress={})
    replaying.step(run)
    assert [row.id for row in pending()] == [later.id]
    replay.refresh_from_db()
    assert (replay.requeued, replay.skipped) == (2, 0)


# --- the rate ---------------------------------------------------------------------------------------------------------


def test_due_times_are_spread_by_the_rate() -> None:
    to = hook()
    failed(to, 10)
    replaying.step(claimed(start(to, rate_per_second=4)))
    times = [row.next_attempt_at for row in pending()]
    assert len(times) == 8  # two seconds' worth
    gaps = {round((later - sooner).total_seconds(), 2) for sooner, later in pairwise(times)}  # type: ignore[operator]
    assert gaps == {0.25}


def test_a_step_that_comes_too_early_requeues_nothing_so_that_a_kill_does_not_double_the_rate() -> None:
    to = hook()
    failed(to, 10)
    replay = start(to, rate_per_second=4)
    first = replaying.step(claimed(replay))
    assert first.wait == pytest.approx(2, abs=0.1)
    Replay.objects.filter(pk=replay.pk).update(state=WorkState.QUEUED, lease_owner=None, lease_token=None)  # as a sweep after a kill
    again = replaying.step(claimed(replay))
    assert 1 < again.wait <= 2
    assert len(pending()) == 8


def test_a_slow_rate_sends_one_at_a_time() -> None:
    to = hook()
    failed(to, 2)
    done = replaying.step(claimed(start(to, rate_per_second=0.1)))
    assert (len(pending()), done.wait) == (1, pytest.approx(10))


def test_an_endpoint_that_is_down_gets_no_more(now: Any) -> None:
    to = hook()
    failed(to, 2)
    run = claimed(start(to))
    WebhookState.objects.update(hold_until=now + timedelta(minutes=5), hold_reason=HoldReason.BREAKER)
    assert replaying.step(run).wait == pytest.approx(replaying.STEP_SECONDS)
    assert pending() == []
    WebhookState.objects.update(hold_reason=HoldReason.RATE_LIMIT)  # that one only says that live traffic goes first
    replaying.step(run)
    assert len(pending()) == 2


# --- kills ------------------------------------------------------------------------------------------------------------


def test_a_step_that_is_cut_off_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    to = hook()
    failed(to, 3)
    run = claimed(start(to))

    def dies(*args: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    for place in ("_requeue", "recompute", "_save"):
        with monkeypatch.context() as patch:
            patch.setattr(replaying, place, dies)
            with pytest.raises(KeyboardInterrupt):
                replaying.step(run)
        assert pending() == []
        assert_truth()
    replaying.step(run)
    assert len(pending()) == 3


def test_who_lost_the_lease_changes_nothing() -> None:
    to = hook()
    failed(to, 3)
    run = claimed(start(to))
    with pytest.raises(LeaseLost):
        replaying.step(Run(run.row, uuid.uuid4()))
    assert pending() == []


# --- the handler ------------------------------------------------------------------------------------------------------


def test_the_handler_ends_parks_or_passes_its_turn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    to = hook()
    failed(to, 3)
    replay = start(to)
    services.pause_replay(replay)
    run = claimed(replay)
    assert replaying.work_off(run) == Later(replaying.PAUSED_SECONDS)
    services.resume_replay(replay)
    monkeypatch.setattr(replaying, "BLOCK_SECONDS", -1)
    monkeypatch.setattr(replaying, "MOST_IN_STEP", 1)
    woken: list[str] = []
    monkeypatch.setattr(replaying.work_registry, "wake", woken.append)
    assert replaying.work_off(run) == Later(0)
    assert woken == ["webhook replays"]
    monkeypatch.setattr(replaying, "BLOCK_SECONDS", 20)
    monkeypatch.setattr(
        replaying, "_standing", lambda *args: None if Replay.objects.get().status == "running" else replaying.Stepped(ended=True)
    )
    assert replaying.work_off(run) == Done()
    assert len(pending()) == 3


def test_a_disabled_webhook_pauses_it_and_a_deleted_one_ends_it() -> None:
    to = hook()
    failed(to, 1)
    replay = start(to)
    run = claimed(replay)
    WebhookState.objects.update(enabled=False)
    assert replaying.step(run).parked
    replay.refresh_from_db()
    assert (replay.status, replay.error) == ("paused", replaying.DISABLED)
    WebhookState.objects.update(enabled=True)
    services.resume_replay(replay)
    Webhook.objects.update(deleted_at=timezone.now())
    assert replaying.step(run).ended
    replay.refresh_from_db()
    assert replay.status == "cancelled"
    assert pending() == []


def test_its_reason_stays_with_a_paused_and_with_a_cancelled_one() -> None:
    to = hook()
    failed(to, 1)
    replay = start(to)
    WebhookState.objects.update(enabled=False)
    for _ in range(2):  # it is looked at again while it is paused
        Replay.objects.update(run_after=timezone.now())
        assert work.run_due(Replay, replaying.work_off) == 1
        replay.refresh_from_db()
        assert (replay.status, replay.state, replay.error) == ("paused", WorkState.QUEUED, replaying.DISABLED)
    WebhookState.objects.update(enabled=True)
    assert services.resume_replay(replay).error == ""
    Webhook.objects.update(deleted_at=timezone.now())
    assert work.run_due(Replay, replaying.work_off) == 1
    replay.refresh_from_db()
    assert (replay.status, replay.state, replay.error) == ("cancelled", WorkState.DONE, replaying.DELETED)


def test_one_that_a_person_paused_shows_no_old_fault() -> None:
    to = hook()
    failed(to, 1)
    replay = services.pause_replay(start(to))
    Replay.objects.update(error=work.WORKER_LOST)
    assert work.run_due(Replay, replaying.work_off) == 1
    replay.refresh_from_db()
    assert (replay.status, replay.error) == ("paused", "")


# --- the API ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice)


@pytest.fixture
def mine(alice: User) -> Webhook:
    return hook(owner=owner_of(alice))


def post(client: APIClient, path: str, **body: Any) -> Any:
    return client.post(f"/api/v1/{path}", body, format="json")


def recover(client: APIClient, to: Webhook, **body: Any) -> Any:
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    return post(client, f"webhooks/{to.id}/recover", **{"since": since} | body)


def test_a_dry_run_says_how_many_and_how_long(client: APIClient, mine: Webhook) -> None:
    rows = failed(mine, 5)
    answer = recover(client, mine, rate_per_second=2, dry_run=True)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["count"], body["more"], body["seconds"]) == (5, False, 2.5)
    stored = WebhookDelivery.objects.in_bulk([rows[0].id, rows[-1].id])
    assert body["oldest"] == stored[rows[0].id].created_at.isoformat().replace("+00:00", "Z")
    assert not Replay.objects.exists()


def test_counting_ends_at_a_cap(client: APIClient, mine: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    failed(mine, 4)
    monkeypatch.setattr("webhooks.recovery.MOST_COUNTED", 3)
    body = recover(client, mine, dry_run=True).json()
    assert (body["count"], body["more"]) == (3, True)


def test_a_rare_type_is_counted_among_the_oldest_only(client: APIClient, mine: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    failed(mine, 2, event_type="custom.rare", minutes_ago=30)
    failed(mine, 5)
    failed(mine, 1, event_type="custom.rare", minutes_ago=5)
    monkeypatch.setattr("webhooks.recovery.MOST_COUNTED", 4)
    body = recover(client, mine, dry_run=True, event_types=["custom.rare"]).json()
    assert (body["count"], body["more"]) == (2, True)
    monkeypatch.setattr("webhooks.recovery.MOST_COUNTED", 9)
    body = recover(client, mine, dry_run=True, event_types=["custom.rare"]).json()
    assert (body["count"], body["more"]) == (3, False)


@pytest.mark.parametrize("looked_at", [1, 2, 3, 50])
def test_a_rare_type_is_found_over_several_steps(mine: Webhook, monkeypatch: pytest.MonkeyPatch, looked_at: int) -> None:
    monkeypatch.setattr("webhooks.recovery.MOST_LOOKED_AT", looked_at)
    rare = [*failed(mine, 2, event_type="custom.rare", minutes_ago=30), *failed(mine, 1, event_type="custom.rare", minutes_ago=5)]
    failed(mine, 7)
    rare += failed(mine, 1, event_type="custom.rare", minutes_ago=4, status="cancelled")
    failed(mine, 3, minutes_ago=3, status="success")
    replay = run_all(start(mine, event_types=["custom.rare"], statuses=["failed", "cancelled", "success"]))
    assert (replay.status, replay.requeued, replay.skipped) == ("done", 4, 0)
    assert {row.id for row in WebhookDelivery.objects.filter(status="pending")} == {row.id for row in rare}
    assert_truth()


def test_a_recovery_is_started_looked_at_and_listed(client: APIClient, mine: Webhook) -> None:
    failed(mine, 5)
    answer = recover(client, mine, rate_per_second=2)
    assert answer.status_code == 202
    started = answer.json()
    assert (started["status"], started["estimated"], started["percent"], started["eta_seconds"]) == ("running", 5, 0.0, 2.5)
    replaying.step(claimed(Replay.objects.get()))
    shown = client.get(f"/api/v1/replays/{started['id']}").json()
    assert (shown["requeued"], shown["percent"], shown["eta_seconds"]) == (4, 80.0, 0.5)
    assert shown.pop("results") == {"arrived": 0, "failed_again": 0, "waiting": 4, "cancelled": 0, "more": False}
    assert client.get(f"/api/v1/replays?webhook={mine.id}&status=running").json()["results"] == [shown]
    assert client.get("/api/v1/replays?status=paused").json()["results"] == []
    entry = AuditEntry.objects.get(action="recover")
    assert (entry.object_type, entry.changes["deliveries"], entry.owner_id) == ("webhook", [None, 5], mine.owner_id)


def test_it_says_what_became_of_what_it_sent(client: APIClient, mine: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    arrives, fails, given_up, _ = failed(mine, 4)
    failed(mine, 1, status="success", minutes_ago=15)
    failed(mine, 1, status="success", minutes_ago=15, trigger="replay")  # of an earlier recovery
    (other,) = failed(mine, 1, event_type="gate.failed", minutes_ago=15, trigger="manual")
    replay = run_all(start(mine, event_types=["custom.*"]))
    for row, status in ((arrives, "success"), (fails, "failed"), (given_up, "cancelled"), (other, "success")):
        WebhookDelivery.objects.filter(id=row.id).update(status=status, finished_at=timezone.now())
    client.get("/api/v1/replays")  # the key's first use costs more
    with CaptureQueriesContext(connection) as few:
        shown = client.get(f"/api/v1/replays/{replay.id}").json()
    assert (shown["status"], shown["percent"], shown["requeued"]) == ("done", 100.0, 4)
    assert shown["results"] == {"arrived": 1, "failed_again": 1, "waiting": 1, "cancelled": 1, "more": False}
    failed(mine, 20)
    with CaptureQueriesContext(connection) as many:
        client.get(f"/api/v1/replays/{replay.id}")
    assert statements(many) == statements(few)
    monkeypatch.setattr("webhooks.recovery.MOST_COUNTED", 1)
    assert client.get(f"/api/v1/replays/{replay.id}").json()["results"]["more"]


def test_it_is_paused_resumed_and_cancelled(client: APIClient, mine: Webhook) -> None:
    failed(mine, 1)
    key = recover(client, mine).json()["id"]
    assert post(client, f"replays/{key}/pause").json()["status"] == "paused"
    assert post(client, f"replays/{key}/pause").json()["code"] == "replay_paused"
    assert replaying.step(claimed(Replay.objects.get())).parked
    Replay.objects.update(state=WorkState.QUEUED, lease_token=None)
    assert post(client, f"replays/{key}/resume").json()["status"] == "running"
    answer = post(client, f"replays/{key}/cancel").json()
    assert (answer["status"], answer["finished_at"] is None) == ("cancelled", False)
    assert post(client, f"replays/{key}/resume").status_code == 409
    assert not work.is_due(Replay)
    assert list(AuditEntry.objects.filter(object_type="replay").order_by("id").values_list("action", flat=True)) == [
        "pause", "resume", "cancel",
    ]  # fmt: skip


def test_a_webhook_has_one_recovery_at_a_time(client: APIClient, mine: Webhook) -> None:
    key = recover(client, mine).json()["id"]
    assert (recover(client, mine).status_code, recover(client, mine).json()["code"]) == (409, "replay_running")
    post(client, f"replays/{key}/pause")
    assert recover(client, mine).status_code == 409
    post(client, f"replays/{key}/cancel")
    assert recover(client, mine).status_code == 202


def test_one_that_failed_for_good_is_shown_as_such_and_can_be_resumed(client: APIClient, mine: Webhook) -> None:
    key = recover(client, mine).json()["id"]
    Replay.objects.update(state=WorkState.FAILED, error="worker lost", finished_at=timezone.now())
    assert client.get(f"/api/v1/replays/{key}").json()["status"] == "failed"
    assert len(client.get("/api/v1/replays?status=failed").json()["results"]) == 1
    assert client.get("/api/v1/replays?status=running").json()["results"] == []
    assert post(client, f"replays/{key}/resume").json()["status"] == "running"
    assert Replay.objects.get().state == WorkState.QUEUED


def test_an_inactive_webhook_is_refused_with_what_to_do(client: APIClient, mine: Webhook) -> None:
    services.disable(mine)
    answer = recover(client, mine)
    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_inactive")
    assert "Enable it first" in answer.json()["message"]
    assert recover(client, mine, dry_run=True).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"since": None}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2999-01-01T00:00:00Z"}, "since"),
        ({"until": "2001-01-01T00:00:00Z"}, "since"),
        ({"statuses": ["pending"]}, "statuses.0"),
        ({"event_types": ["no.such.type"]}, "event_types"),
        ({"rate_per_second": 0}, "rate_per_second"),
        ({"rate_per_second": 501}, "rate_per_second"),
        ({"rate_per_second": "nan"}, "rate_per_second"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_wrong_values_are_named(client: APIClient, mine: Webhook, body: dict[str, Any], field: str) -> None:
    answer = recover(client, mine, **body)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])


def test_a_list_takes_as_many_statements_for_many_rows_as_for_few(client: APIClient, mine: Webhook) -> None:
    def listed() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/api/v1/replays").status_code == 200
        return statements(queries)

    Replay.objects.create(webhook=mine, owner_id=mine.owner_id, since=timezone.now(), until=timezone.now(), rate_per_second=1)
    listed()
    few = listed()
    for _ in range(5):
        Replay.objects.create(webhook=mine, owner_id=mine.owner_id, since=timezone.now(), until=timezone.now(), rate_per_second=1)
    assert listed() == few


def test_nothing_waits_for_a_running_step(mine: Webhook) -> None:
    """Pausing locks the replay's row only, never the webhook's."""
    replay = start(mine)
    with transaction.atomic():
        services.pause_replay(replay)
    assert Replay.objects.get().status == "paused"
