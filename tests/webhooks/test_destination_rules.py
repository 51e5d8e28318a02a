"""What surrounds destinations: verdicts, memory, time limits, follow-ups."""

from __future__ import annotations

import asyncio
import re
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.urls import resolve
from django.utils import timezone

from core import leases, work
from core.errors import AddressRefused, InvalidInput, OutboundError, Unavailable
from core.event_links import event_link
from core.fields import DecryptError
from core.housekeeping import Batch
from core.http import client as door_client
from core.http.door import BadAnswer, CallFailed, CircuitOpen, Outgoing, QuotaUsedUp, Reply, SignInFailed, Throttled
from core.http.exchange import Answered
from core.models import RequestLog
from core.models.outbound import CallOutcome
from core.models.work import WorkState
from integrations.calls import build_connector
from integrations.contract.outbound import FollowUpStart, Progress, Remembered, Reserved
from integrations.contract.outbound import Outcome as Told_
from integrations.models import Integration
from integrations.oauth.exchange import temporary
from integrations.services import integrations as services
from integrations.services.integrations import IntegrationValues
from integrations.signals import configured
from tests.integrations.oauth_provider import oauth_config
from tests.webhooks.destination_kit import TOKEN, Poster, Told, connectors, integration, routed
from tests.webhooks.engine_kit import due, hook, state_of
from webhooks.choices import ErrorClass, HoldReason, Outcome
from webhooks.destinations import deadline, follow
from webhooks.destinations.binding import Route, bind
from webhooks.destinations.memory import RESERVED_FOR, RowMemory, stored_key
from webhooks.engine.calls import Abandoned, CallPool
from webhooks.engine.outcomes import Retry, of_error, of_outcome
from webhooks.engine.types import Verdict
from webhooks.housekeeping import mark_calls
from webhooks.models import DestinationMemory, FollowUp, Webhook, WebhookState

pytestmark = pytest.mark.usefixtures("connectors")
__all__ = ["connectors"]
RETRY = Retry(1, (10.0, 20.0), lambda: 0.5)
LAST = Retry(3, (10.0, 20.0), lambda: 0.5)


# --- verdicts ---------------------------------------------------------------------------------------------------------

ERRORS: dict[str, tuple[Exception, Outcome, ErrorClass, bool]] = {
    "CircuitOpen": (CircuitOpen("x", retry_after=90), Outcome.RETRY, ErrorClass.CIRCUIT_OPEN, True),
    "QuotaUsedUp": (QuotaUsedUp("x"), Outcome.RETRY, ErrorClass.QUOTA_USED_UP, True),
    "Throttled": (Throttled("x", retry_after=90), Outcome.RETRY, ErrorClass.RATE_LIMITED, True),
    "CallFailed": (CallFailed("x", code="dns"), Outcome.RETRY, ErrorClass.DNS, False),
    "DecryptError": (DecryptError("x"), Outcome.RETRY, ErrorClass.UNREADABLE_SECRET, False),
    "CallFailed, internal": (CallFailed("x", code="internal"), Outcome.RETRY, ErrorClass.INTERNAL, False),
    "SignInFailed": (SignInFailed("x"), Outcome.FAILED, ErrorClass.SIGN_IN, False),
    "SignInFailed, passing": (temporary("x", retry_after=5), Outcome.RETRY, ErrorClass.SIGN_IN, True),
    "AddressRefused": (AddressRefused("x"), Outcome.FAILED, ErrorClass.ADDRESS_REFUSED, False),
    "InvalidInput": (InvalidInput("x"), Outcome.FAILED, ErrorClass.UNSUITABLE, False),
    "BadAnswer, permanent": (BadAnswer("x", permanent=True), Outcome.FAILED, ErrorClass.BAD_ANSWER, False),
    "BadAnswer 404": (BadAnswer("x", status_code=404), Outcome.FAILED, ErrorClass.CLIENT_ERROR, False),
    "BadAnswer 429": (BadAnswer("x", status_code=429), Outcome.RETRY, ErrorClass.RATE_LIMITED, True),
    "BadAnswer 500": (BadAnswer("x", status_code=500), Outcome.RETRY, ErrorClass.SERVER_ERROR, False),
    "BadAnswer": (BadAnswer("x", status_code=200), Outcome.RETRY, ErrorClass.BAD_ANSWER, False),
    "anything else": (ValueError("x"), Outcome.RETRY, ErrorClass.INTERNAL, False),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_an_error_means(name: str) -> None:
    error, outcome, error_class, held = ERRORS[name]
    verdict = of_error(error, RETRY)
    assert (verdict.outcome, verdict.error_class, verdict.hold is not None) == (outcome, error_class, held)
    assert not verdict.exhausted


def test_the_page_shows_this_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "destinations.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `?([^|`]+)`? \| ([^|]+) \|", page.partition("## What an error means")[2].partition("\n## ")[0], re.M)[2:])
    assert set(rows) == set(ERRORS)
    for name, (_, outcome, _, held) in ERRORS.items():
        assert rows[name].startswith("failed" if outcome is Outcome.FAILED else "tried again"), name
        assert ("held" in rows[name]) == held, name


def test_a_hold_lasts_as_long_as_was_asked_a_day_at_most_and_puts_the_retry_off() -> None:
    assert (of_error(Throttled("x", retry_after=90), RETRY).hold, of_error(Throttled("x", retry_after=90), RETRY).delay) == (90, 90)
    assert of_error(Throttled("x", retry_after=1e9), RETRY).hold == 86_400
    assert of_error(QuotaUsedUp("x"), RETRY).hold_reason == HoldReason.INTEGRATION
    assert of_error(Throttled("x"), RETRY).hold_reason == HoldReason.RETRY_AFTER


def test_the_last_retry_exhausts() -> None:
    for error in (CallFailed("x"), CircuitOpen("x"), ValueError("x")):
        verdict = of_error(error, LAST)
        assert (verdict.outcome, verdict.exhausted, verdict.delay) == (Outcome.FAILED, True, None)


def test_only_what_speaks_against_the_service_counts_for_the_breaker() -> None:
    unhealthy = {name for name, (error, *_) in ERRORS.items() if of_error(error, RETRY).unhealthy}
    assert unhealthy == {"CallFailed", "BadAnswer 500", "BadAnswer"}
    assert of_error(OutboundError("x"), RETRY).unhealthy
    assert of_error(Unavailable("x"), RETRY).outcome is Outcome.RETRY


def test_a_fault_of_the_portal_waits_by_the_webhooks_own_schedule() -> None:
    for error in (DecryptError("x"), ValueError("x"), CallFailed("x", code="internal", retry_after=300)):
        verdict = of_error(error, RETRY)
        assert (verdict.delay, verdict.hold, verdict.unhealthy) == (10, None, False)
    assert of_error(DecryptError("why it can't be read"), RETRY).error == "why it can't be read"


def outcome(status: int | None = None, **told: Any) -> Verdict:
    return of_outcome(Told_(**{"ok": False, "error": "no"} | told), status, RETRY)


def test_what_an_outcome_means() -> None:
    assert outcome(ok=True) == Verdict(Outcome.SUCCESS)
    assert outcome(ok=True, confirmed=False).confirmed is False
    assert (outcome(permanent=True).outcome, outcome(permanent=True).error_class) == (Outcome.FAILED, ErrorClass.REFUSED)
    gone = outcome(gone=True)
    assert (gone.outcome, gone.gone, gone.error_class) == (Outcome.FAILED, True, ErrorClass.GONE)
    waits = outcome(retry_after=30)
    assert (waits.outcome, waits.hold, waits.hold_reason, waits.unhealthy) == (Outcome.RETRY, 30, HoldReason.RETRY_AFTER, False)
    assert outcome(429).hold == 60
    assert (outcome().unhealthy, outcome(200).unhealthy, outcome(502).unhealthy) == (True, False, True)
    assert outcome(error="").error, "there is always a sentence"


# --- the pool ---------------------------------------------------------------------------------------------------------


async def test_the_pool_runs_at_most_so_many_at_once_and_hands_errors_on() -> None:
    pool, running, most = CallPool(2), 0, 0
    lock, both = threading.Lock(), threading.Barrier(2)

    def work_() -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(60)
        with lock:
            running -= 1
        return 7

    assert await asyncio.gather(*(pool.run(work_) for _ in range(6))) == [7] * 6
    assert most == 2
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)
    with pytest.raises(RuntimeError, match="SystemExit"):
        await pool.run(lambda: exec("raise SystemExit"))
    with pytest.raises(RuntimeError, match="StopIteration"):
        await pool.run(lambda: next(iter(())))


async def test_what_hangs_is_abandoned_and_takes_places_only_beyond_the_pools_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.engine.calls.GRACE_SECONDS", 0.0)
    pool, release = CallPool(2, seconds=0.05), threading.Event()
    for hanging in range(1, 5):
        with pytest.raises(Abandoned):
            await pool.run(release.wait)
        assert pool.room(0) == (2 if hanging <= 2 else 4 - hanging)
    release.set()
    for _ in range(3000):
        if pool.room(0) == 2:
            break
        await asyncio.sleep(0.01)
    assert (pool.room(0), pool.room(1), pool.room(5)) == (2, 1, 0)


async def test_a_timeout_of_the_calls_own_is_no_abandonment() -> None:
    def fails() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await CallPool(1).run(fails)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(deadline, "time", made)
    return made


class Clock:
    """Goes on when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_calls_share_one_time_limit(monkeypatch: pytest.MonkeyPatch, clock: Clock, db: None) -> None:
    seen: list[float] = []

    def request(self: Any, *_: Any, **__: Any) -> Reply:
        seen.append(self.terms.timeout)
        clock.now += 0.05
        return Reply(200, {}, b"", "")

    monkeypatch.setattr(door_client.Door, "request", request)
    connector = deadline.limited(build_connector(integration("caller", timeout_seconds=30), deadline_purpose()), 0.2)
    connector.door.request("GET", "https://example.com")
    connector.door.request("GET", "https://example.com")
    assert seen == pytest.approx([0.2, 0.15])
    clock.now += 0.1
    with pytest.raises(CallFailed) as caught:
        connector.door.request("GET", "https://example.com")
    assert caught.value.code == "timeout"
    assert len(seen) == 2


class SlowToken:
    """Waits for a token."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds = seconds
        self.clock = clock

    def apply(self, request: Outgoing) -> None:
        self.clock.now += self.seconds
        request.headers["Authorization"] = "Bearer x"

    def fingerprint(self) -> str:
        return "slow"

    def refused(self) -> bool:
        return False

    def secrets(self) -> list[str]:
        return []


@pytest.mark.parametrize(("seconds", "leaves"), [(0.4, True), (1.0, False)])
def test_waiting_for_a_token_counts_against_the_time_limit(
    seconds: float, leaves: bool, monkeypatch: pytest.MonkeyPatch, clock: Clock, db: None
) -> None:
    sent: list[float] = []

    def exchange(method: str, url: str, headers: Any, body: Any, limits: Any, **_: Any) -> Answered:
        sent.append(limits.timeout)
        return Answered(timezone.now(), 200)

    monkeypatch.setattr(door_client, "exchange", exchange)
    door = build_connector(integration("caller", timeout_seconds=30), deadline_purpose()).door
    slow = deadline.LimitedDoor(door_client.Door(door.terms, SlowToken(seconds, clock)), 1)
    if leaves:
        slow.request("GET", "https://example.com")
        assert sent == pytest.approx([1 - seconds])
        return
    with pytest.raises(CallFailed) as caught:
        slow.request("GET", "https://example.com")
    assert (caught.value.code, sent) == ("timeout", [])
    row = RequestLog.objects.get()
    assert (row.outcome, row.error_class) == (CallOutcome.REFUSED, "timeout")


def deadline_purpose() -> Any:
    from core.models.outbound import CallPurpose

    return CallPurpose.DESTINATION


# --- binding ----------------------------------------------------------------------------------------------------------


def test_what_is_bound_shows_no_credential(db: None) -> None:
    to = integration()
    bound = bind({uuid.uuid4(): Route(to.id, {"path": "x"})})
    (one,) = bound.values()
    assert (one.name, one.title, one.calls, one.options) == ("my poster", "Poster", False, {"path": "x"})
    assert TOKEN not in repr(one)
    assert one.mask.known(f"a {TOKEN} b") == "a *** b"


def test_one_integration_is_loaded_once_for_many_webhooks(db: None, django_assert_num_queries: Any) -> None:
    to = integration()
    with django_assert_num_queries(1):
        bound = bind({uuid.uuid4(): Route(to.id, {"path": str(number)}) for number in range(5)})
    assert len({id(one.connector) for one in bound.values()}) == 1


def test_each_problem_is_named(db: None) -> None:
    gone = uuid.uuid4()
    wanted = {"inactive": integration(status="inactive").id, "takes no events": integration("plain").id, "deleted": gone,
              "no connector": integration("removed").id}  # fmt: skip
    bound = bind({uuid.uuid4(): Route(id, {}) for id in wanted.values()})
    for words, id in wanted.items():
        (one,) = [one for one in bound.values() if one.integration_id == id]
        assert words in one.problem


def test_a_fault_while_binding_is_the_portals(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, unreadable = integration(), integration(name="lost")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE integrations_integration SET credentials = %s WHERE name = 'lost'", [b"nokey:rubbish"])
    monkeypatch.setattr(Poster, "auth", classmethod(lambda *_: {}["token"]))
    bound = {one.integration_id: one for one in bind({uuid.uuid4(): Route(row.id, {}) for row in (broken, unreadable)}).values()}
    assert (bound[broken.id].fault, bound[unreadable.id].fault) == (ErrorClass.INTERNAL, ErrorClass.UNREADABLE_SECRET)


def test_the_link_of_an_event_leads_to_its_page(settings: Any) -> None:
    settings.PUBLIC_URL = "https://portal.example.com/"
    link = event_link(uuid.uuid4())
    assert resolve(link.removeprefix("https://portal.example.com")).view_name == "admin:core_event_change"


def test_housekeeping_notes_what_an_integrations_configuration_changed(db: None) -> None:
    caller, poster = routed(integration("caller")), routed(integration())
    WebhookState.objects.filter(webhook=caller).update(calls=False)
    WebhookState.objects.filter(webhook=poster).update(calls=True)
    assert mark_calls(Batch(dry_run=True)).rows == 0
    assert mark_calls(Batch()).rows == 2
    assert (state_of(caller).calls, state_of(poster).calls) == (True, False)


NUL = "\N{SYMBOL FOR NULL}"

HTTP = {"base_url": "https://example.com", "kind": "rest", "health_method": "GET", "expected_status": ["200-299"], "auth": "none"}


def test_a_changed_integration_is_noted_in_the_same_transaction(db: None, django_assert_max_num_queries: Any) -> None:
    to, other = integration("http", config=HTTP, credentials={}), integration("http", config=HTTP, credentials={})
    hooks, elsewhere = [hook(url="", integration=to) for _ in range(3)], hook(url="", integration=other)
    signed = oauth_config("https://login.example.com", "oauth2_client_credentials")
    values = IntegrationValues(config=signed, credentials={"oauth_client_secret": "secret-of-tests"})
    with django_assert_max_num_queries(14):
        services.update_integration(to, values)
    assert [state_of(one).calls for one in (*hooks, elsewhere)] == [True] * 3 + [False]
    services.update_integration(to, IntegrationValues(name="renamed"))
    assert state_of(hooks[0]).calls
    services.update_integration(to, IntegrationValues(config=HTTP), replace=True)
    assert [state_of(one).calls for one in hooks] == [False] * 3


def test_what_was_noted_goes_with_the_change_that_failed(db: None) -> None:
    to = integration("http", config=HTTP, credentials={})
    made = hook(url="", integration=to)

    def fail(*_: Any, **__: Any) -> None:
        raise InvalidInput("no")

    signed = oauth_config("https://login.example.com", "oauth2_client_credentials")
    values = IntegrationValues(config=signed, credentials={"oauth_client_secret": "secret-of-tests"})
    configured.connect(fail)
    try:
        with pytest.raises(InvalidInput):
            services.update_integration(to, values)
    finally:
        configured.disconnect(fail)
    assert not state_of(made).calls


# --- memory -----------------------------------------------------------------------------------------------------------


def test_the_first_external_id_stays(db: None) -> None:
    webhook, other = routed(integration()), routed(integration())
    memory = RowMemory(webhook.id)
    assert memory.get("k") is None
    memory.put("k", "ONE", {"a": 1})
    memory.put("k", "TWO")
    assert (memory.get("k"), RowMemory(other.id).get("k")) == ("ONE", None)
    RowMemory(other.id).put("k", "THREE")
    assert DestinationMemory.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_first_stays_also_when_threads_set_it_at_once() -> None:
    memory, barrier, found = RowMemory(routed(integration()).id), threading.Barrier(4), []

    def put(number: int) -> None:
        barrier.wait()
        memory.put("k", f"T-{number}")
        found.append(memory.get("k"))
        connection.close()

    threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == DestinationMemory.objects.count() == 1


def test_of_two_that_make_the_same_only_one_begins(db: None) -> None:
    memory = RowMemory(routed(integration()).id)
    assert memory.reserve("k", "one") is Reserved.FIRST
    assert memory.get("k") is None
    assert memory.recall("k") is not None
    assert memory.reserve("k", "two") is Reserved.BUSY
    assert memory.reserve("k", "one") is Reserved.AGAIN  # its process was killed before it could say what it made
    DestinationMemory.objects.update(updated_at=Now() - RESERVED_FOR + timedelta(seconds=30))
    assert memory.reserve("k", "one") is Reserved.AGAIN
    DestinationMemory.objects.update(updated_at=F("updated_at") - RESERVED_FOR + timedelta(seconds=15))
    assert memory.reserve("k", "two") is Reserved.BUSY, "the first one went on meanwhile"
    DestinationMemory.objects.update(updated_at=Now() - RESERVED_FOR)
    assert memory.reserve("k", "two") is Reserved.AGAIN
    assert memory.reserve("k", "one") is Reserved.BUSY
    memory.put("k", "T-1", {"n": 1})
    memory.put("k", "T-2")
    assert memory.recall("k") == Remembered("T-1", {"n": 1})
    assert memory.reserve("k", "two") is Reserved.MADE
    memory.forget("k")
    assert memory.reserve("k", "two") is Reserved.FIRST


def test_a_reservation_lasts_however_the_clocks_of_two_machines_differ(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, now = RowMemory(routed(integration()).id), timezone.now()
    for ahead, holder, found in ((-600, "one", Reserved.FIRST), (600, "two", Reserved.BUSY), (0, "one", Reserved.AGAIN)):
        monkeypatch.setattr(timezone, "now", lambda ahead=ahead: now + timedelta(seconds=ahead))
        assert memory.reserve("k", holder) is found


def test_an_older_state_does_not_put_a_newer_one_aside(db: None) -> None:
    memory = RowMemory(routed(integration()).id)
    assert memory.latest("k", "2026-01-02", {"state": "passed"}) == Remembered("2026-01-02", {"state": "passed"})
    assert memory.latest("k", "2026-01-01", {"state": "pending"}) == Remembered("2026-01-02", {"state": "passed"})
    assert memory.latest("k", "2026-01-02", {"state": "passed"}).external_id == "2026-01-02"
    assert memory.latest("k", "2026-01-03", {"state": "failed"}).data == {"state": "failed"}
    memory.replace("k", "x")
    assert memory.recall("k") == Remembered("x")
    memory.replace("new", "y")
    assert memory.get("new") == "y"


def test_what_no_database_stores_can_be_remembered(db: None) -> None:
    memory = RowMemory(routed(integration()).id)
    memory.put("k\0\ud800", "T\0-1", {"a\0": ["b\0", ("\ud800",)], 1: "one"})
    assert memory.get("k\0\ud800") == f"T{NUL}-1"
    assert DestinationMemory.objects.get().data == {f"a{NUL}": [f"b{NUL}", ["?"]], "1": "one"}
    assert memory.get(f"k{NUL}?") is None, "another key"
    memory.put("x" * 300 + "\ud800", "T-2")
    assert memory.get("x" * 300 + "\ud800") == "T-2"
    for bad in ({"n": float("nan")}, {"n": object()}):
        with pytest.raises(InvalidInput, match="data"):
            memory.put("other", "T-3", bad)


def test_long_keys_differ_where_they_differ(db: None) -> None:
    memory = RowMemory(routed(integration()).id)
    memory.put("x" * 300 + "1", "ONE")
    memory.put("x" * 300 + "2", "TWO")
    assert (memory.get("x" * 300 + "1"), memory.get("x" * 300 + "2")) == ("ONE", "TWO")
    assert len(stored_key("x" * 300)) <= 200
    for bad in ("", "\0" * 501, "x" * 501):
        with pytest.raises(InvalidInput):
            memory.put("k", bad)


# --- follow-ups -------------------------------------------------------------------------------------------------------


def following(**start: Any) -> FollowUp:
    (delivery,) = due(routed(integration("caller")))
    values: dict[str, Any] = {"url": "https://ci/queue/1", "label": "build", "first_poll": 0, "memory": {"queue": 1}} | start
    told = follow.checked(FollowUpStart(**values))
    assert told is not None
    follow.start([(delivery.id, told)], timezone.now() - timedelta(seconds=1))
    return FollowUp.objects.get()


def polled() -> FollowUp:
    """Run what is due once."""
    FollowUp.objects.filter(state=WorkState.QUEUED).update(run_after=timezone.now() - timedelta(seconds=1))
    worker = leases.register_worker("work")
    for row in work.claim(FollowUp, worker):
        assert row.lease_token is not None
        work.perform(work.Run(row, row.lease_token), follow.run)
    return FollowUp.objects.get()


def test_a_run_is_polled_to_its_end(db: None) -> None:
    following()
    answers = iter([Progress(None, 40, memory={"build": 812}, label="build #812", link="https://ci/812"), Progress("passed")])
    asked: list[Any] = []

    def poll(url: str, memory: Any) -> Progress:
        asked.append((url, dict(memory)))
        return next(answers)

    Told.poll = poll
    row = polled()
    assert (row.state, row.result, row.label, row.link, row.attempts) == ("queued", "", "build #812", "https://ci/812", 0)
    assert timedelta(seconds=30) < row.run_after - timezone.now() < timedelta(seconds=41)
    row = polled()
    assert (row.state, row.result, row.label) == ("done", "passed", "build #812")
    assert asked == [("https://ci/queue/1", {"queue": 1}), ("https://ci/queue/1", {"build": 812})]


def test_what_runs_long_is_asked_about_ever_more_seldom_and_within_the_integrations_limits(db: None) -> None:
    row = following()
    Told.poll = lambda *_: Progress()

    def pauses(count: int) -> list[float]:
        return [(polled().run_after - timezone.now()).total_seconds() for _ in range(count)]

    assert pauses(12) == pytest.approx([5, 6.5, 8.5, 11, 14.3, 18.6, 24.1, 31.4, 40.8, 53, 60, 60], abs=2)
    FollowUp.objects.update(progress={})
    to = Integration.objects.filter(pk=row.delivery.webhook.integration_id)
    for limits, pause in (({"rate_per_minute": 6}, 100), ({"rate_per_minute": None, "quota_limit": 60}, 600), ({"quota_limit": 1}, 3600)):
        to.update(**limits)
        assert pauses(1) == pytest.approx([pause], abs=2)


def test_a_system_that_is_down_is_asked_ever_later_and_does_not_end_it(db: None) -> None:
    following()

    def poll(*_: Any) -> Progress:
        raise CallFailed("It is down.")

    Told.poll = poll
    waits = []
    for _ in range(6):
        row = polled()
        waits.append(round((row.run_after - timezone.now()).total_seconds(), -1))
    assert row.state == "queued"
    assert waits == [30, 60, 120, 240, 480, 960]
    assert "down" in row.shown_error


def test_it_ends_when_its_time_is_over_its_webhook_gone_or_an_error_permanent(db: None) -> None:
    def refuse(*_: Any) -> Progress:
        raise SignInFailed("The token is refused.")

    Told.poll = refuse
    following()
    row = polled()
    assert (row.state, row.result) == ("failed", "")
    assert "refused" in row.shown_error
    FollowUp.objects.update(state="queued", give_up_at=timezone.now())
    row = polled()
    assert (row.state, row.result) == ("failed", follow.GAVE_UP)
    FollowUp.objects.update(state="queued", give_up_at=timezone.now() + timedelta(hours=1))
    Webhook.objects.update(deleted_at=timezone.now())
    assert "deleted" in polled().error


def test_an_inactive_integration_only_delays_it(db: None) -> None:
    row = following()
    type(row.delivery.webhook.integration).objects.update(status="inactive")  # type: ignore[union-attr]
    row = polled()
    assert row.state == "queued"
    assert "inactive" in row.shown_error


def test_credentials_that_cannot_be_read_only_delay_it(db: None) -> None:
    row = following()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE integrations_integration SET credentials = %s", [b"not a token"])
    for _ in range(5):
        row = polled()
    assert row.state == "queued"
    assert "decrypt" in row.shown_error or "key" in row.shown_error


def test_what_was_started_anew_takes_no_answer_of_the_old_run(db: None) -> None:
    row = following()

    def poll(*_: Any) -> Progress:
        told = follow.checked(FollowUpStart("https://ci/2", "second"))
        assert told is not None
        follow.start([(row.delivery_id, told)], timezone.now())
        return Progress("failed")

    Told.poll = poll
    row = polled()
    assert (row.label, row.result, row.state) == ("second", "", "queued")


def test_what_no_database_stores_is_taken_out_of_a_start(db: None) -> None:
    memory = {"a\0": ["b\0", {"c": "\ud800"}], "path": r"C:\u0000", "n": 1, "none": None}
    row = following(url="https://ci/\0", label="build\0\ud800", link="https://ci/\0", memory=memory)
    assert (row.url, row.label, "\0" in row.link) == (f"https://ci/{NUL}", f"build{NUL}?", False)
    assert row.memory == {f"a{NUL}": [f"b{NUL}", {"c": "?"}], "path": r"C:\u0000", "n": 1, "none": None}


def test_what_no_database_stores_is_taken_out_of_what_a_poll_found(db: None) -> None:
    following()
    Told.poll = lambda *_: Progress("passed\0", memory={"a": "\0"}, label="x\0", link="https://ci/\0")
    row = polled()
    assert (row.state, row.result, row.label, row.memory) == ("done", f"passed{NUL}", f"x{NUL}", {"a": NUL})
    assert "\0" not in row.link


def test_what_a_connector_starts_is_bounded(db: None) -> None:
    told = follow.checked(FollowUpStart("u", "x" * 300, "javascript:alert(1)", first_poll=-5, give_up_after=1e12))
    assert told is not None
    assert (len(told.label), told.link, told.first_poll, told.give_up_after) == (200, "", 0, follow.LONGEST_FOLLOWED)
    for bad in (FollowUpStart(""), FollowUpStart("u", memory={"x": object()}), FollowUpStart("u", memory={"x": "y" * 100_001})):
        with pytest.raises((ValueError, TypeError)):
            follow.checked(bad)
