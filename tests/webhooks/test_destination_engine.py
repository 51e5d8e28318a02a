"""Deliveries through integrations: real threads, a real receiver, committed rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DataError, connection
from standardwebhooks import Webhook as Verifier

from core import runtime
from core.bus import Announcement, publish, publish_all
from core.http.door import CircuitOpen
from integrations.contract.connector import Connector
from integrations.contract.outbound import FollowUpStart, NothingToTell, Outcome
from tests.webhooks.destination_kit import TOKEN, Gate, Told, connectors, integration, routed
from tests.webhooks.engine_kit import assert_truth, hook, state_of
from tests.webhooks.receivers import Reply, receiving, wait_for
from webhooks.choices import BreakerState, ErrorClass
from webhooks.destinations import follow
from webhooks.engine import calls, pump
from webhooks.engine.pump import Engine
from webhooks.models import DeliveryAttempt, DestinationMemory, FollowUp, Lease, WebhookDelivery, WebhookState

pytestmark = pytest.mark.django_db(transaction=True)
Start = Callable[..., Engine]
__all__ = ["connectors"]


@pytest.fixture(autouse=True)
def _ready(settings: Any, connectors: None) -> Iterator[None]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    settings.DESTINATION_THREADS = 4
    settings.PUBLIC_URL = "https://portal.example.com/"
    runtime.forget()
    yield
    runtime.forget()


@pytest.fixture
def start() -> Iterator[Start]:
    engines: list[Engine] = []

    def run(slots: int = 50) -> Engine:
        engine = Engine(slots)
        engines.append(engine)
        engine.start()
        engine.claim_for(60)
        return engine

    yield run
    for engine in engines:
        engine.stop(0)


def pending() -> int:
    return WebhookDelivery.objects.filter(status="pending").count()


# --- one request ------------------------------------------------------------------------------------------------------


def test_a_request_is_sent_as_the_connector_builds_it_and_signed(start: Start) -> None:
    with receiving() as receiver:
        made = routed(integration(base=receiver.url("")), {"path": "in", "method": "PUT"}, headers={"X-Own": "mine"})
        start()
        event = publish("custom.a", {"n": 1})
        wait_for(lambda: not pending())
        (request,) = receiver.received
        assert (request.path, request.method, request.headers["content-type"]) == ("/in?n=1", "PUT", "text/plain")
        assert request.headers["x-own"] == "mine"
        told = Verifier(made.secrets[0]["secret"]).verify(request.body, request.headers)
        assert told["id"] == str(event.id)
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.outcome, attempt.status_code, attempt.url) == ("success", 200, receiver.url("/in?n=1"))
    assert_truth()


def test_no_credential_reaches_the_log_under_whatever_name(start: Start) -> None:
    def tell(request: Any) -> Reply:
        return Reply(400, {"X-Request-Id": f"for {TOKEN}"}, f"bad value {TOKEN} here".encode())

    with receiving(tell) as receiver:
        to = integration(base=receiver.url(""))
        routed(to, {"path": f"in-{TOKEN}"})
        start()
        publish("custom.a", {})
        wait_for(lambda: not pending())
        assert receiver.received[0].headers["x-correlation-id"] == TOKEN
    attempt = DeliveryAttempt.objects.get()
    logged = f"{attempt.url} {attempt.request_headers} {attempt.response_headers} {attempt.response_body} {attempt.error}"
    assert TOKEN not in logged
    assert "bad value" in attempt.response_body


def test_a_200_that_says_no_is_a_failure(start: Start) -> None:
    Told.judge = lambda answer: Outcome(ok=False, error="Slack says: channel_not_found.", permanent=b"channel" in answer.body)
    with receiving(Reply(200, body=b'{"ok": false, "error": "channel_not_found"}')) as receiver:
        made = routed(integration(base=receiver.url("")))
        start()
        publish("custom.a", {})
        wait_for(lambda: not pending())
    delivery, attempt = WebhookDelivery.objects.get(), DeliveryAttempt.objects.get()
    assert (delivery.status, delivery.last_error_class, attempt.status_code) == ("failed", ErrorClass.REFUSED, 200)
    assert "channel_not_found" in attempt.error
    assert state_of(made).failed_count == 1
    assert_truth()


@pytest.mark.parametrize("kind", ["poster", "caller"])
def test_an_event_that_need_not_be_told_succeeds_and_says_why_nothing_was_sent(start: Start, kind: str) -> None:
    def nothing(*_: Any) -> Any:
        raise NothingToTell("there is no metric in it.")

    Told.build = Told.send = nothing
    made = routed(integration(kind))
    WebhookState.objects.filter(webhook=made).update(breaker=BreakerState.OPEN, breaker_trips=2)
    start()
    publish("custom.a", {})
    wait_for(lambda: not pending())
    delivery, attempt, state = WebhookDelivery.objects.get(), DeliveryAttempt.objects.get(), state_of(made)
    assert (delivery.status, attempt.outcome, attempt.error_class, attempt.status_code) == ("success", "success", "", None)
    assert attempt.error == "Nothing was sent: there is no metric in it."
    assert state.breaker != BreakerState.CLOSED, "nothing was sent, so that nothing is known of the endpoint"
    assert_truth()


def test_accepted_but_not_confirmed_is_shown_as_such(start: Start) -> None:
    Told.judge = lambda _: Outcome(ok=True, confirmed=False)
    with receiving(Reply(202)) as receiver:
        routed(integration(base=receiver.url("")))
        start()
        publish("custom.a", {})
        wait_for(lambda: not pending())
    assert (WebhookDelivery.objects.get().status, DeliveryAttempt.objects.get().outcome) == ("success", "accepted")


def test_an_event_that_the_connector_cant_tell_fails_and_says_why(start: Start) -> None:
    from core.errors import InvalidInput

    def build(*_: Any) -> Any:
        raise InvalidInput("It has no commit.")

    Told.build = build
    routed(integration())
    start()
    publish("custom.a", {})
    wait_for(lambda: not pending())
    assert DeliveryAttempt.objects.get().error_class == ErrorClass.UNSUITABLE


def test_the_destination_gets_the_portals_page_about_the_event(start: Start) -> None:
    links = []

    def send(event: Any, *_: Any) -> Outcome:
        links.append(event.link)
        return Outcome(ok=True)

    Told.send = send
    routed(integration("caller"))
    start()
    event = publish("custom.a", {})
    wait_for(lambda: not pending())
    assert links == [f"https://portal.example.com/admin/core/event/{event.id}/change/"]


def test_an_inactive_integration_holds_its_webhooks_and_says_so(start: Start) -> None:
    made = routed(integration(status="inactive"))
    start()
    publish("custom.a", {})
    wait_for(DeliveryAttempt.objects.exists)
    attempt = wait_for(lambda: DeliveryAttempt.objects.first())
    assert (attempt.outcome, attempt.error_class) == ("retry", ErrorClass.INTEGRATION)
    assert "my poster is inactive" in attempt.error
    assert state_of(made).hold_reason == "integration"


def test_credentials_that_cant_be_read_fail_their_webhook_only(start: Start) -> None:
    with receiving() as receiver:
        good, bad = integration(base=receiver.url("")), integration(name="broken")
        with connection.cursor() as cursor:
            cursor.execute("UPDATE integrations_integration SET credentials = %s WHERE name = 'broken'", [b"nokey:rubbish"])
        routed(good)
        lost = routed(bad)
        start()
        publish("custom.a", {})
        wait_for(lambda: receiver.received and DeliveryAttempt.objects.filter(webhook_id=lost.id).exists())
    attempt = DeliveryAttempt.objects.get(webhook_id=lost.id)
    assert attempt.error_class == ErrorClass.UNREADABLE_SECRET
    assert "broken" in attempt.error


@pytest.mark.parametrize("type", ["poster", "caller"])
@pytest.mark.parametrize("broken", ["credentials", "webhook", "connector"])
def test_a_fault_of_the_portal_waits_by_the_webhooks_own_schedule(start: Start, type: str, broken: str, monkeypatch: Any) -> None:
    Told.send = lambda *_: Outcome(ok=True)
    made = routed(integration(type), retry_config={"schedule": [1234, 5678]})
    if broken == "connector":
        monkeypatch.setattr(Connector, "auth", classmethod(lambda *_: {}["token"]))
    else:
        table, column = ("integrations_integration", "credentials") if broken == "credentials" else ("webhooks_webhook", "secrets")
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {column} = %s", [b"nokey:rubbish"])
    start()
    publish("custom.a", {})
    wait_for(DeliveryAttempt.objects.exists)
    attempt, delivery, state = DeliveryAttempt.objects.get(), WebhookDelivery.objects.get(), state_of(made)
    assert attempt.error_class == (ErrorClass.INTERNAL if broken == "connector" else ErrorClass.UNREADABLE_SECRET)
    waits = (delivery.next_attempt_at - attempt.started_at).total_seconds()
    assert 1234 * 0.9 - 5 <= waits <= 1234 * 1.1 + 5
    assert (state.hold_until, state.breaker_failures) == (None, 0), "it says nothing about the service"


# --- calls in threads -------------------------------------------------------------------------------------------------


def test_calls_are_made_with_options_credentials_and_memory(start: Start) -> None:
    seen: list[Any] = []

    def send(event: Any, options: Any, memory: Any, connector: Any) -> Outcome:
        seen.append((event.data["n"], options["job"], connector.credentials["token"], memory.get("k"), connector.door.terms.purpose))
        memory.put("k", "TICKET-1")
        return Outcome(ok=True, status=201, details={"number": 812, "echo": TOKEN})

    Told.send = send
    made = routed(integration("caller"), {"job": "deploy"})
    start()
    publish("custom.a", {"n": 1})
    wait_for(lambda: not pending())
    publish("custom.a", {"n": 2})
    wait_for(lambda: not pending() and len(seen) == 2)
    assert seen == [(1, "deploy", TOKEN, None, "destination"), (2, "deploy", TOKEN, "TICKET-1", "destination")]
    attempt = DeliveryAttempt.objects.order_by("id").first()
    assert attempt is not None
    assert (attempt.outcome, attempt.status_code, attempt.url) == ("success", 201, "Caller: my caller")
    assert "812" in attempt.response_body
    assert TOKEN not in attempt.response_body
    assert DestinationMemory.objects.get().webhook_id == made.id
    assert_truth()


def test_slow_calls_hold_up_neither_requests_nor_other_calls(start: Start) -> None:
    gate = Gate()

    def send(event: Any, options: Any, *_: Any) -> Outcome:
        if options.get("job") == "slow":
            gate.pass_through()
        return Outcome(ok=True)

    Told.send = send
    with receiving() as receiver:
        slow = routed(integration("caller"), {"job": "slow"}, events=["custom.slow"])
        quick = routed(integration("caller"), {"job": "quick"}, events=["custom.quick"])
        hook(url=receiver.url(), events=["custom.quick"])
        engine = start()
        publish_all([Announcement("custom.slow", {}) for _ in range(20)])
        wait_for(lambda: gate.came)
        publish_all([Announcement("custom.quick", {}) for _ in range(20)])
        wait_for(lambda: state_of(quick).success_count == 20 and len(receiver.received) == 20)
        assert Lease.objects.filter(webhook_id=slow.id).count() == gate.came <= 2, "at most half of the threads, and no lease beyond them"
        wait_for(lambda: engine.in_flight == gate.came)  # the engine forgets what it recorded a moment after the commit
        gate.open()
        wait_for(lambda: not pending())
    assert_truth()


def test_only_as_many_calls_are_leased_as_threads_are_free(start: Start) -> None:
    gate, most = Gate(), 0

    def send(*_: Any) -> Outcome:
        nonlocal most
        most = max(most, Lease.objects.count())
        gate.pass_through(0.05)
        return Outcome(ok=True)

    Told.send = send
    for _ in range(6):
        routed(integration("caller"))
    start()
    publish_all([Announcement("custom.a", {}) for _ in range(5)])
    wait_for(lambda: not pending())
    assert 0 < most <= 4
    assert gate.came == 30
    assert_truth()


@pytest.mark.parametrize("type", ["poster", "caller"])
def test_a_mark_that_lags_sends_nothing_wrongly(start: Start, type: str) -> None:
    going, most = [], []

    def send(*_: Any) -> Outcome:
        going.append(1)
        most.append(len(going))
        time.sleep(0.02)
        going.pop()
        return Outcome(ok=True)

    Told.send = send
    with receiving() as receiver:
        made = routed(integration(type, base=receiver.url("")))
        WebhookState.objects.filter(webhook=made).update(calls=type == "poster")  # as before the integration was changed
        start()
        publish_all([Announcement("custom.a", {"n": number}) for number in range(20)])
        wait_for(lambda: not pending())
        assert len(receiver.received) == (20 if type == "poster" else 0)
    assert len(most) == (0 if type == "poster" else 20)
    assert max(most, default=0) <= 4, "no more threads than there are"
    assert set(DeliveryAttempt.objects.values_list("outcome", flat=True)) == {"success"}
    assert_truth()


def test_a_call_that_never_returns_is_abandoned_and_the_others_go_on(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(pump, "CallPool", lambda size: calls.CallPool(size, seconds=1.0))
    gate = Gate()

    def send(event: Any, *_: Any) -> Outcome:
        if event.data.get("hangs"):
            gate.pass_through()
        return Outcome(ok=True)

    Told.send = send
    made = routed(integration("caller"), retry_config={"schedule": [3600]})
    start()
    publish_all([Announcement("custom.a", {"hangs": True}) for _ in range(4)])
    wait_for(lambda: DeliveryAttempt.objects.filter(error_class=ErrorClass.TIMEOUT).count() == 4)
    assert "did not come back within" in DeliveryAttempt.objects.first().error  # type: ignore[union-attr]
    publish_all([Announcement("custom.a", {}) for _ in range(4)])
    wait_for(lambda: state_of(made).success_count == 4)
    gate.open()
    time.sleep(0.1)
    assert state_of(made).success_count == 4, "what was abandoned counts no more"
    assert_truth()


def test_stopping_hands_back_what_is_not_done(start: Start) -> None:
    gate = Gate()
    Told.send = lambda *_: gate.pass_through() or Outcome(ok=True)  # type: ignore[func-returns-value]
    routed(integration("caller"))
    engine = start()
    publish("custom.a", {})
    wait_for(lambda: gate.came)
    engine.stop(0.1)
    assert not Lease.objects.exists()
    assert pending() == 1
    gate.open()
    start()
    wait_for(lambda: not pending())
    assert gate.came == 2
    assert_truth()


def test_an_open_breaker_of_the_integration_holds_the_webhook(start: Start) -> None:
    def send(*_: Any) -> Outcome:
        raise CircuitOpen("The breaker is open.", retry_after=120)

    Told.send = send
    made = routed(integration("caller"))
    start()
    publish("custom.a", {})
    wait_for(DeliveryAttempt.objects.exists)
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.outcome, attempt.error_class) == ("retry", ErrorClass.CIRCUIT_OPEN)
    assert state_of(made).hold_reason == "integration"


def test_a_fault_of_a_connector_is_tried_again_and_shows_nothing_of_it(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    def send(*_: Any) -> Outcome:
        raise ValueError(f"could not parse {TOKEN}")

    Told.send = send
    routed(integration("caller"))
    start()
    publish("custom.a", {})
    wait_for(DeliveryAttempt.objects.exists)
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.outcome, attempt.error_class) == ("retry", ErrorClass.INTERNAL)
    assert TOKEN not in attempt.error + caplog.text


def test_connections_of_the_threads_are_closed(start: Start) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no list of connections")

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            return int(cursor.fetchone()[0])

    def send(event: Any, options: Any, memory: Any, _: Any) -> Outcome:
        memory.put(event.data["k"], "1")
        return Outcome(ok=True)

    Told.send = send
    routed(integration("caller"))
    start()
    publish("custom.a", {"k": "first"})
    wait_for(lambda: not pending())
    before = count()
    publish_all([Announcement("custom.a", {"k": str(number)}) for number in range(20)])
    wait_for(lambda: not pending())
    wait_for(lambda: count() <= before)


# --- follow-ups -------------------------------------------------------------------------------------------------------


def test_a_follow_up_is_stored_with_its_outcome_and_starts_anew_when_sent_again(start: Start) -> None:
    numbers = iter([812, 813])

    def send(*_: Any) -> Outcome:
        number = next(numbers)
        return Outcome(ok=True, follow_up=FollowUpStart(f"https://ci/{number}", f"build #{number}", f"https://ci/{number}", first_poll=5))

    Told.send = send
    routed(integration("caller"))
    start()
    publish("custom.a", {})
    wait_for(lambda: not pending())
    first = wait_for(lambda: FollowUp.objects.first())
    assert (first.label, first.link, first.result, first.state) == ("build #812", "https://ci/812", "", "queued")
    FollowUp.objects.update(state="done", result="failed")
    from webhooks import services

    services.redeliver(WebhookDelivery.objects.get())
    wait_for(lambda: FollowUp.objects.get().label == "build #813")
    again = FollowUp.objects.get()
    assert (again.state, again.result) == ("queued", "")


def test_a_start_that_cant_be_stored_is_left_out_and_frees_the_lease(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = follow.start

    def refuse(started: Any, now: Any) -> None:
        if started:
            raise DataError("what no check foresaw")
        stored(started, now)

    monkeypatch.setattr(follow, "start", refuse)
    Told.send = lambda *_: Outcome(ok=True, follow_up=FollowUpStart("https://ci/1"))
    routed(integration("caller"))
    engine = start()
    publish("custom.a", {})
    wait_for(lambda: DeliveryAttempt.objects.exists())
    wait_for(lambda: not Lease.objects.exists())
    assert engine._given_up == set()
    assert not FollowUp.objects.exists()
