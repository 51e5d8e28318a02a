"""Missed deliveries of a source: requested once each, through limits and kills, by those who may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.models import AuditEntry
from core import housekeeping, work, work_registry
from core.errors import Conflict
from core.http import pauses
from core.ids import uuid7
from core.models import RequestLog
from core.models.work import WorkState
from core.work import Run
from integrations.models import Integration
from integrations.services.integrations import delete_integration
from tests.access.keys import client_of
from tests.connectors.github.stub import FULL_NAME, Stub, make_delivery, served_stub  # noqa: F401 - a fixture
from tests.factories import owner_of
from webhooks import secrets
from webhooks.inbound import alarms, backfill_start, backfilling, pruning, sources
from webhooks.inbound.backfill_start import backfill_sources, request_backfill
from webhooks.inbound.missed import shown_status, taken_in
from webhooks.models import InboundBackfill, InboundSource, Receipt

pytestmark = pytest.mark.django_db
SOURCES, BACKFILLS = "/api/v1/inbound-sources", "/api/v1/inbound-backfills"
TOKEN = "github_pat_7d1e5a"
HOUR = timedelta(hours=1)


@pytest.fixture
def integration(stub: Stub, alice: User) -> Integration:
    return make_integration(stub, owner_of(alice))


def make_integration(stub: Stub, owner: Any) -> Integration:
    config = {"api_url": stub.url, "auth": "token"}
    values = {"type": "github", "category": "development", "credentials": {"token": TOKEN}, "owner": owner}
    return Integration.objects.create(name="GitHub", config=config, **values)


def make_source(integration: Integration | None, **more: Any) -> InboundSource:
    values: dict[str, Any] = {
        "name": "GitHub of acme", "provider": "github", "secrets": secrets.initial("planted-7c1d22"), "integration": integration,
        "config": {"hook_of": FULL_NAME, "hook_id": 9}, "owner": integration and integration.owner,
        "created_at": timezone.now() - timedelta(days=30),
    } | more  # fmt: skip
    return InboundSource.objects.create(**values)


def receipt(source: InboundSource, guid: str, result: str = "processed", state: str = "done", verdict: str = "accepted") -> Receipt:
    values = {"source": source, "owner_id": source.owner_id, "received_at": timezone.now(), "dedupe_id": guid}
    return Receipt.objects.create(result=result, state=state, verdict=verdict, **values)


def claimed() -> Run:
    InboundBackfill.objects.update(run_after=timezone.now())
    (row,) = work.claim(InboundBackfill, uuid7())
    assert row.lease_token is not None
    return Run(row, row.lease_token)


def go_on() -> InboundBackfill:
    """Run it until it ends or is put aside."""
    run = claimed()
    work.perform(run, backfilling.KIND.handler)
    return InboundBackfill.objects.get(pk=run.row.pk)


def test_what_is_stored_counts_as_received_whatever_came_of_it(integration: Integration) -> None:
    source, other = make_source(integration), make_source(integration)
    receipt(source, "processed")
    receipt(source, "ignored", "ignored")
    receipt(source, "waiting", "waiting", "queued")
    receipt(source, "failed", "waiting", "failed")
    receipt(source, "refused", "", "done", "refused")
    receipt(other, "elsewhere")
    asked = ["processed", "ignored", "waiting", "failed", "refused", "elsewhere", "missed"]
    with CaptureQueriesContext(connection) as queries:
        assert taken_in(source.pk, timezone.now() - HOUR, asked) == {"processed", "ignored", "waiting", "failed"}
    assert len(queries) == 2


def test_missed_deliveries_come_again_through_a_limit_and_a_kill(
    stub: Stub, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source(integration)
    stub.deliveries = [make_delivery(number) for number in range(250, 0, -1)]
    for number in range(1, 251, 2):
        receipt(source, f"guid-{number}")
    row = request_backfill(source)
    stub.left = 30
    found = go_on()
    assert (shown_status(found), found.requested, found.looked_at) == ("waiting", 29, 100)
    assert found.error.startswith(f"Waits until {found.run_after:%H:%M} UTC, and goes on by itself.")
    assert found.run_after > timezone.now() + timedelta(minutes=29)
    stub.left = 1_000_000
    pauses.forget(integration.id)

    class Killed(BaseException):
        """The process ends here."""

    keep, kept = backfilling._keep, 0

    def kill_before_the_seventh(*args: Any) -> None:
        nonlocal kept
        kept += 1
        if kept == 7:
            raise Killed
        keep(*args)

    monkeypatch.setattr(backfilling, "_keep", kill_before_the_seventh)
    with pytest.raises(Killed):
        backfilling.work_off(claimed())
    monkeypatch.undo()
    assert InboundBackfill.objects.get(pk=row.pk).state == WorkState.RUNNING
    work.sweep(InboundBackfill)
    found = go_on()
    assert (shown_status(found), found.requested, found.looked_at, found.gone, found.error) == ("done", 125, 250, 0, "")
    assert sorted(set(stub.again)) == list(range(2, 251, 2))
    assert len(stub.again) <= 135
    assert set(RequestLog.objects.values_list("purpose", flat=True)) == {"backfill"}
    assert TOKEN not in str(list(RequestLog.objects.values())) + str(InboundBackfill.objects.values().get())

    # what was sent again is on its way: a second request repeats nothing
    stub.deliveries = [make_delivery(1000 + n, guid=f"guid-{n}", age=timedelta(seconds=9)) for n in range(250, 0, -2)] + stub.deliveries
    before = len(stub.again)
    request_backfill(source)
    assert (go_on().requested, len(stub.again)) == (0, before)


def test_time_that_is_up_lets_others_run(stub: Stub, integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.deliveries = [make_delivery(number) for number in range(40, 0, -1)]
    request_backfill(make_source(integration))
    woken: list[str] = []
    monkeypatch.setattr(work_registry, "wake", woken.append)
    monkeypatch.setattr(Run, "time_is_up", lambda run: True)
    found = go_on()
    assert (found.state, found.requested, woken) == (WorkState.QUEUED, 0, ["missed inbound deliveries"])  # the webhook's id is known
    assert [go_on().requested for _ in range(5)] == [0, 10, 20, 30, 40]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((404, {"message": "Not Found"}, {}), "GitHub knows no deliveries of the webhook 9 of acme/shop"),
        ((403, {"message": "no"}, {"X-Accepted-GitHub-Permissions": "repository_hooks=write"}), "permission repository hooks: write"),
    ],
)
def test_a_refusal_is_told_in_words(stub: Stub, integration: Integration, answer: Any, sentence: str) -> None:
    source = make_source(integration)
    stub.before = lambda path: answer
    request_backfill(source)
    found = go_on()
    assert (shown_status(found), sentence in found.error) == ("failed", True)
    # by itself it is tried again a day later only, by a person at once
    assert backfill_sources(housekeeping.Batch()).rows == 0
    InboundBackfill.objects.update(finished_at=timezone.now() - timedelta(days=2))
    assert backfill_sources(housekeeping.Batch()).rows == 1


def test_it_looks_no_further_back_than_receipts_are_kept(integration: Integration) -> None:
    now = timezone.now()
    old = request_backfill(make_source(integration), now - timedelta(days=20)).since
    assert now - timedelta(days=3) < old < now - timedelta(days=2, hours=23)
    young = make_source(integration, created_at=now - HOUR)
    assert request_backfill(young).since == young.created_at
    assert request_backfill(make_source(integration), now - 2 * HOUR).since == now - 2 * HOUR


def test_one_that_goes_on_or_can_not_be_is_refused_with_the_reason(integration: Integration) -> None:
    source = make_source(integration)
    request_backfill(source)
    with pytest.raises(Conflict, match="being requested already"):
        request_backfill(source)
    for more, sentence in (
        ({"integration": None}, "Choose the integration with GitHub"),
        ({"config": {}}, "Fill in hook_of"),
        ({"active": False}, "switched off"),
        ({"provider": "jenkins"}, "jenkins can't be asked"),
    ):
        other = make_source(integration)
        InboundSource.objects.filter(pk=other.pk).update(**more)
        with pytest.raises(Conflict, match=sentence):
            request_backfill(other)


def test_a_source_that_recovers_requests_what_it_missed(integration: Integration) -> None:
    now = timezone.now()
    source = make_source(integration, silence_seconds=3600, silent_since=now - 5 * HOUR)
    receipt(source, "new")
    alarms.watch_sources(housekeeping.Batch())
    made = InboundBackfill.objects.get()
    assert (made.source_id, made.automatic, made.since, made.started_by) == (source.pk, True, now - 5 * HOUR, "")


def test_each_hour_the_portal_looks_from_where_it_last_looked(integration: Integration) -> None:
    source = make_source(integration)
    make_source(None)
    make_source(integration, active=False)
    assert backfill_sources(housekeeping.Batch(dry_run=True)).rows == 1
    assert backfill_sources(housekeeping.Batch()).rows == 1
    first = InboundBackfill.objects.get()
    assert (first.source_id, first.automatic) == (source.pk, True)
    assert backfill_sources(housekeeping.Batch()).rows == 0  # it goes on
    InboundBackfill.objects.update(state=WorkState.DONE, finished_at=timezone.now())
    assert backfill_sources(housekeeping.Batch()).rows == 1
    assert InboundBackfill.objects.latest("id").since == first.created_at - backfill_start.OVERLAP


def test_an_owner_requests_and_follows_it_over_rest(stub: Stub, integration: Integration, alice: User, charlie: User) -> None:
    client = client_of(alice)
    given = {
        "name": "s",
        "provider": "github",
        "secret": "planted-7c1d22",
        "config": {"hook_of": FULL_NAME},
        "integration": str(integration.id),
    }
    made = client.post(SOURCES, given, format="json").json()
    assert made["integration"] == str(integration.id)
    stub.hooks = [{"id": 9, "config": {"url": made["url"]}}]
    InboundSource.objects.update(created_at=timezone.now() - timedelta(days=9))
    stub.deliveries = [make_delivery(1)]
    answer = client.post(f"{SOURCES}/{made['id']}/backfill", {"since": (timezone.now() - HOUR * 2).isoformat()}, format="json")
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    again = client.post(f"{SOURCES}/{made['id']}/backfill", {}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "backfill_running")
    go_on()
    shown = client.get(f"{BACKFILLS}/{answer.json()['id']}").json()
    assert (shown["status"], shown["looked_at"], shown["requested"], shown["source_name"]) == ("done", 1, 1, "s")
    assert client.get(BACKFILLS, {"status": "done", "source": made["id"]}).json()["results"] == [shown]
    assert client.get(BACKFILLS, {"status": "waiting"}).json()["results"] == []
    assert client_of(charlie).get(f"{BACKFILLS}/{shown['id']}").status_code == 404
    entry = AuditEntry.objects.get(action="backfill")
    assert (entry.object_id, list(entry.changes)) == (made["id"], ["since"])
    wrong = client.post(f"{SOURCES}/{made['id']}/backfill", {"since": (timezone.now() + HOUR).isoformat()}, format="json")
    assert (wrong.status_code, list(wrong.json()["fields"])) == (400, ["since"])


def test_only_an_integration_of_the_sources_owner_is_taken(stub: Stub, integration: Integration, alice: User, charlie: User) -> None:
    theirs = make_integration(stub, owner_of(charlie))
    wrong_type = Integration.objects.create(name="x", type="http", category="development", owner=owner_of(alice))
    source = make_source(integration)
    for one in (theirs, wrong_type, make_integration(stub, None)):
        answer = client_of(alice).patch(f"{SOURCES}/{source.pk}", {"integration": str(one.id)}, format="json")
        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["integration"])
    request_backfill(source)
    Integration.objects.filter(id=integration.id).update(owner=owner_of(charlie))
    assert "not the source's owner's any more" in go_on().error
    assert stub.asked == []


def test_an_integration_in_use_stays_until_the_source_goes(integration: Integration) -> None:
    source = make_source(integration)
    request_backfill(source)
    with pytest.raises(Conflict, match="inbound sources"):
        delete_integration(integration)
    sources.delete_source(source)
    delete_integration(integration)
    assert go_on().error == "Its source was deleted."
    InboundSource.objects.update(deleted_at=timezone.now() - timedelta(days=1))
    pruning.purge_sources(housekeeping.Batch())
    assert not InboundSource.objects.exists()
    assert not InboundBackfill.objects.exists()
