"""Interpreting receipts: events, runs and outcome together, once for each delivery, in whatever order they came."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import work
from core.errors import InvalidInput
from core.housekeeping import Batch
from core.ids import first_id_at
from core.models import Event
from core.work import LeaseLost
from integrations import reported
from integrations.contract.inbound import InboundEvent
from integrations.models import Repository
from integrations.reported import RunReport
from tests.factories import owner_of, statements
from tests.plans import nodes, rows_read
from tests.webhooks.inbound_kit import Told, claimed, send, source, work_off
from tests.webhooks.inbound_kit import sender as sender
from webhooks.inbound import interpret, pruning, reprocess
from webhooks.models import InboundSource, Receipt, SettledBody

pytestmark = pytest.mark.django_db


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[RunReport]:
    taken: list[RunReport] = []
    monkeypatch.setattr(reported, "_run_takers", [taken.append])
    return taken


def test_a_request_becomes_an_event_of_its_sources_owner(alice: User) -> None:
    owner = owner_of(alice)
    send(source(owner=owner), {"a": 1}, event="thing.done")
    assert work_off() == 1
    event, receipt = Event.objects.get(), Receipt.objects.get()
    assert (event.type, event.payload, event.owner_id, event.actor) == (
        "inbound.sender.thing.done",
        {"a": 1},
        owner.id,
        "inbound source main",
    )
    assert (receipt.outcome, receipt.state, receipt.event_ids, event.request_id) == ("processed", "done", [str(event.id)], str(receipt.id))


def test_an_event_about_a_known_repository_belongs_to_the_repositorys_owner(alice: User, charlie: User) -> None:
    mine = Repository.objects.create(provider="sender", full_name="acme/shop", owner=owner_of(alice))
    for owner in (owner_of(alice), owner_of(charlie), None):
        send(source(owner=owner), {"repository": "acme/shop"})
    work_off()
    found = [(event.owner_id, event.repository_id) for event in Event.objects.order_by("id")]
    assert found == [(mine.owner_id, mine.id), (owner_of(charlie).id, None), (mine.owner_id, mine.id)]


@pytest.mark.parametrize("name", ["acme/\0", "acme/\ud800"])
def test_a_name_that_no_database_takes_is_that_of_no_repository(name: str) -> None:
    send(source(), {"repository": name})
    assert work_off() == 1
    assert (Receipt.objects.get().outcome, Event.objects.get().repository_id) == ("processed", None)


def test_runs_are_reported_for_known_and_unknown_projects(alice: User, reports: list[RunReport]) -> None:
    send(source(owner=owner_of(alice)), {"repository": "new/project", "runs": [7]})
    work_off()
    (report,) = reports
    assert (report.provider, report.project, report.owner_id) == ("sender", "new/project", owner_of(alice).id)
    assert [run.build_id for run in report.runs] == ["7"]


def test_what_means_nothing_is_ignored() -> None:
    send(source(), event="ping")
    work_off()
    assert (Receipt.objects.get().outcome, Event.objects.count()) == ("ignored", 0)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("inbound.sender.pullrequest:created", "inbound.sender.pullrequest_created"),
        ("inbound.sender.Push Hook", "inbound.sender.Push_Hook"),
        ("inbound.sender.project/v0", "inbound.sender.project_v0"),
        ("inbound.sender." + "x." * 20, "inbound.sender.x.x.x.x.x.x"),
        ("inbound.sender.", "inbound.sender.event"),
        ("custom.thing", "custom.thing"),
    ],
)
def test_a_providers_words_make_the_name_of_a_type(given: str, name: str) -> None:
    assert interpret.type_name(given) == name


def test_a_failure_keeps_its_reason_and_says_nothing_to_anybody() -> None:
    send(source(), b"no json")
    work_off()
    receipt = Receipt.objects.get()
    assert (receipt.outcome, receipt.error, Event.objects.count()) == ("failed", "The body is not JSON.", 0)


def test_a_defect_of_a_receiver_fails_at_once_without_repeating_what_was_sent() -> None:
    Told.parse = lambda request, verified: [][1]
    send(source(), {"planted": "abc"})
    assert work_off() == 1
    receipt = Receipt.objects.get()
    assert (receipt.outcome, receipt.error) == ("failed", "The receiver of sender could not read it (IndexError); the log says where.")


def test_a_schema_is_checked_where_the_source_asks_for_it() -> None:
    data = {"type": "inbound.alert_changed", "alert": "no object"}
    for strict in (False, True):
        send(source(validate_schema=strict), data)
    work_off()
    assert [receipt.outcome for receipt in Receipt.objects.order_by("id")] == ["processed", "failed"]
    assert "schema" in Receipt.objects.latest("id").error


def test_a_redelivery_of_what_failed_is_processed() -> None:
    to = source()

    def fail(*args: Any) -> list[InboundEvent]:
        raise InvalidInput("not yet")

    Told.parse = fail
    send(to, id="d-1")
    work_off()
    Told.parse = None
    send(to, id="d-1")
    work_off()
    assert [receipt.outcome for receipt in Receipt.objects.order_by("id")] == ["failed", "processed"]
    assert Event.objects.count() == 1


def test_events_and_outcome_stand_or_fall_together(monkeypatch: pytest.MonkeyPatch, reports: list[RunReport]) -> None:
    to = source()
    send(to, {"repository": "a/b", "runs": [1]})
    run = claimed(Receipt.objects.get())

    def killed(*args: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(interpret, "_count", killed)
    with pytest.raises(SystemExit):
        interpret.interpret(run)
    assert (Event.objects.count(), Receipt.objects.get().outcome) == (0, "waiting")


def test_a_row_with_an_outcome_that_was_never_said_to_be_done_does_nothing_the_second_time() -> None:
    send(source(), id="d-1")
    interpret.interpret(claimed(Receipt.objects.get()))
    assert Receipt.objects.get().state == "done"  # written along with the outcome
    Receipt.objects.update(state="queued", run_after=timezone.now())
    work_off()
    assert (Event.objects.count(), Receipt.objects.get().outcome) == (1, "processed")


def test_a_worker_that_lost_its_lease_publishes_nothing() -> None:
    send(source())
    run = claimed(Receipt.objects.get())
    Receipt.objects.update(state="queued", lease_token=None)
    with pytest.raises(LeaseLost):
        interpret.interpret(run)
    assert not Event.objects.exists()


def test_two_receipts_of_one_delivery_claimed_at_once_are_published_once() -> None:
    to = source()
    send(to, {"a": 1}, id="d-1")
    send(to, {"a": 1}, id="d-1")
    first, second = Receipt.objects.order_by("id")
    one, two = [work.Run(row, row.lease_token) for row in _claim_both()]  # type: ignore[arg-type]
    seen = interpret._settled_before
    try:
        interpret._settled_before = lambda receipt: None  # both look before either is settled
        interpret.interpret(one)
        interpret._settled_before = _after(seen)
        interpret.interpret(two)
    finally:
        interpret._settled_before = seen
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.outcome, first.duplicates, second.outcome, Event.objects.count()) == ("processed", 1, "duplicate", 1)


def _claim_both() -> list[Any]:
    from core import leases

    return work.claim(Receipt, leases.register_worker("work"), limit=2)


def _after(seen: Any) -> Any:
    """Return a look-up that finds nothing the first time, as one that looked too early."""
    calls: list[int] = []

    def look(receipt: Receipt) -> Any:
        calls.append(1)
        return None if len(calls) == 1 else seen(receipt)

    return look


def test_a_shuffled_flood_of_duplicates_ends_as_delivery_in_order_does(reports: list[RunReport]) -> None:
    rng = random.Random(1)
    deliveries = [(f"d-{number}", {"n": number, "repository": "a/b", "runs": [number]}) for number in range(60)]
    flood = [delivery for delivery in deliveries for _ in range(rng.randint(1, 4))]
    rng.shuffle(flood)
    to = source()
    for id, data in flood:
        assert send(to, data, id=id).status_code == 202
        if rng.random() < 0.1:
            work_off()
    work_off()
    assert sorted(event.payload["n"] for event in Event.objects.all()) == list(range(60))
    assert sorted(run.build_id for report in reports for run in report.runs) == sorted(str(number) for number in range(60))
    settled = Receipt.objects.exclude(outcome="duplicate")
    assert set(settled.values_list("outcome", flat=True)) == {"processed"}
    assert settled.count() == 60
    assert sum(settled.values_list("duplicates", flat=True)) == len(flood) - 60


def test_a_receipt_is_counted_on_its_source_once() -> None:
    to = source()
    send(to, id="d-1")
    work_off()
    receipt = Receipt.objects.get()
    Receipt.objects.update(state="queued", result="waiting")
    work_off()
    to.refresh_from_db()
    assert (to.accepted_count, to.last_received_at) == (1, receipt.received_at)
    assert Event.objects.count() == 1


def test_a_deleted_sources_receipts_come_to_nothing() -> None:
    to = source()
    send(to)
    to.deleted_at = timezone.now()
    to.save()
    work_off()
    assert (Receipt.objects.get().outcome, Event.objects.count()) == ("ignored", 0)


def test_an_unreadable_body_fails_with_the_reason(settings: Any) -> None:
    send(source())
    settings.FERNET_KEYS = ["another" * 6]
    assert work_off() == 1
    assert "FERNET_KEYS" in Receipt.objects.get().error


def test_interpreting_takes_the_same_statements_however_much_there_is() -> None:
    to = source()
    counts = []
    for number in range(3):
        send(to, {"n": number}, id=f"d-{number}")
        run = claimed(Receipt.objects.get(dedupe_id=f"d-{number}"))
        with CaptureQueriesContext(connection) as queries:
            work.perform(run, interpret.interpret)
        counts.append(statements(queries))
    assert len(set(counts)) == 1


def test_a_body_that_can_not_be_meant_twice_is_a_duplicate_under_any_id_and_event() -> None:
    to, other = source(), source()
    data = {"at": "2026-11-20T09:30:00Z"}
    send(to, data, id="d-1", event="thing.done")
    work_off()
    for id, event in (("d-2", "thing.done"), ("d-3", "thing.undone"), ("", "")):
        send(to, data, id=id, event=event)
    assert work_off() == 3
    first, *replayed = Receipt.objects.order_by("id")
    assert (Event.objects.count(), first.outcome, first.duplicates) == (1, "processed", 3)
    assert {(one.outcome, one.error) for one in replayed} == {
        ("duplicate", f"Under another id, the same body as {first.pk}: it is not repeated.")
    }
    send(other, data, id="d-2")
    send(to, {"a": 1}, id="d-4")
    send(to, {"a": 1}, id="d-5")  # may be meant twice
    work_off()
    assert Event.objects.count() == 4


def test_the_first_of_such_a_body_is_interpreted_anew_and_a_failed_one_leaves_no_mark() -> None:
    to, data = source(), {"at": "2026-11-20T09:30:00Z"}

    def fail(request: Any, verified: Any) -> list[InboundEvent]:
        raise InvalidInput("not yet")

    Told.parse = fail
    send(to, data, id="d-1")
    work_off()
    Told.parse = None
    send(to, data, id="d-2")
    work_off()
    failed, taken = Receipt.objects.order_by("id")
    assert (failed.outcome, taken.outcome, SettledBody.objects.get().receipt_id) == ("failed", "processed", taken.pk)
    reprocess.reprocess(taken)
    reprocess.reprocess(failed)
    work_off()
    assert [one.outcome for one in Receipt.objects.order_by("id")] == ["duplicate", "processed"]
    assert Event.objects.count() == 1


def test_two_workers_with_the_receipt_of_body_publish_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    to, data = source(), {"at": "2026-11-20T09:30:00Z"}
    send(to, data, id="d-1")
    work_off()
    send(to, data, id="d-2")
    looked, found = interpret._receipt_of_body, []

    def too_early(receipt: Receipt) -> Any:
        found.append(looked(receipt))
        return None if len(found) == 1 else found[-1]

    monkeypatch.setattr(interpret, "_receipt_of_body", too_early)
    work_off()
    assert (Receipt.objects.latest("id").outcome, Event.objects.count(), len(found)) == ("duplicate", 1, 2)


def test_bodies_are_forgotten_with_the_receipts_of_their_time() -> None:
    to = source()
    send(to, {"at": 1})
    work_off()
    old = uuid.UUID(int=first_id_at(timezone.now() - timedelta(days=31)).int)
    SettledBody.objects.update(id=old)
    assert (pruning.prune_bodies(Batch()).rows, SettledBody.objects.count()) == (1, 0)
    send(to, {"at": 2})
    work_off()
    InboundSource.objects.update(deleted_at=timezone.now() - timedelta(days=1))
    while pruning.purge_sources(Batch()).cursor:
        pass
    pruning.purge_sources(Batch())
    assert not SettledBody.objects.exists()
    assert not InboundSource.objects.exists()


def test_sources_take_turns_so_that_a_flood_of_one_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    flooding, others = source(), [source(), source()]
    for number in range(12):
        send(flooding, id=f"f-{number}")
    for to in others:
        send(to, id="d-1")
    taken: list[uuid.UUID] = []
    work.run_due(Receipt, lambda run: taken.append(cast("Receipt", run.row).source_id))
    assert [taken.index(to.id) < 4 for to in others] == [True, True]
    assert len(taken) == 14


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such plan")
def test_the_next_turn_is_looked_up_however_many_wait() -> None:
    flooding, other = source(), source()
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [flooding.id, 20_000])
        cursor.execute("ANALYZE webhooks_receipt")
    send(other, id="d-1")
    first, last = sorted([flooding, other], key=lambda one: one.id)
    after = Receipt.objects.filter(source=first).first()
    for turn, expected in ((None, first), (after, last)):
        with CaptureQueriesContext(connection) as queries, transaction.atomic():
            assert [row.source_id for row in work._next(Receipt, 1, turn)] == [expected.id]
        with connection.cursor() as cursor:
            asked = next(one["sql"] for one in queries if "FOR UPDATE" in one["sql"])
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + asked)
            plan = cursor.fetchone()[0][0]["Plan"]
        assert rows_read(plan, "webhooks_receipt") <= 2
        assert {node.get("Index Name") for node in nodes(plan)} & {"receipt_queued_idx"}


_WAITING = """
INSERT INTO webhooks_receipt (id, source_id, state, run_after, attempts, max_attempts, progress, error, received_at, method, remote_address,
    size, body_hash, parts, verdict, reason, dedupe_id, event, result, duplicates, event_ids)
SELECT gen_random_uuid(), %s, 'queued', now() - interval '1 hour', 0, 3, '{}', '', now(), 'POST', '',
    2, '', 0, 'accepted', '', 'd-' || n, 'e', 'waiting', 0, '[]'
FROM generate_series(1, %s) AS n
"""
