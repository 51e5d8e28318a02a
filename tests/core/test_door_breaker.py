"""The circuit breaker: what opens it, who may probe, and what closes it."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from core.http import breaker
from core.http.door import BadAnswer, CallFailed, CircuitOpen, QuotaUsedUp, SignInFailed, Throttled
from core.models import Circuit, RequestLog
from core.models.outbound import CircuitState
from tests.core.door_stub import Token, door, http, serving

pytestmark = pytest.mark.django_db
HERE = uuid.UUID(int=7)


@pytest.fixture(autouse=True)
def _open(settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]


@pytest.fixture
def service():
    with serving() as running:
        yield running


def call(service, **terms):
    return door(**{"breaker_failures": 3, "breaker_hold_seconds": 30, **terms}).request("GET", service.url)


def fail(service, times=1, **terms):
    for _ in range(times):
        with pytest.raises((BadAnswer, CallFailed)):
            call(service, **terms)


def hold_is_over():
    Circuit.objects.update(hold_until=timezone.now() - timedelta(seconds=1))


def hold():
    row = Circuit.objects.get()
    return round((row.hold_until - row.changed_at).total_seconds())


def test_it_opens_at_the_threshold_and_refuses(service):
    service.says(http(500))
    fail(service, 2)
    assert breaker.state(HERE).state == CircuitState.CLOSED
    fail(service)
    state = breaker.state(HERE)
    assert (state.state, state.failures, state.trips) == (CircuitState.OPEN, 3, 1)
    assert "answered 500" in state.last_error
    assert hold() == 30
    with pytest.raises(CircuitOpen, match=r"has failed repeatedly.*answered 500") as refused:
        call(service)
    assert 29 < refused.value.retry_after <= 30
    assert len(service.requests) == 3
    assert list(RequestLog.objects.order_by("id").values_list("outcome", "error_class"))[-1] == ("refused", "circuit_open")


def test_only_failures_in_a_row_count(service):
    service.says(http(500), http(500), http(200), http(500), http(500), http(404), http(500))
    fail(service, 2)
    call(service)
    assert breaker.state(HERE).failures == 0
    fail(service, 2)
    fail(service)
    assert breaker.state(HERE).failures == 0
    fail(service)
    assert (breaker.state(HERE).state, breaker.state(HERE).failures) == (CircuitState.CLOSED, 1)


def test_a_service_that_never_failed_has_no_row(service):
    call(service)
    assert not Circuit.objects.exists()
    assert breaker.state(HERE).state == CircuitState.CLOSED


@pytest.mark.parametrize(
    "answer", [http(500), http(503), lambda sock, _: None, lambda sock, _: sock.sendall(b"no http\n\n"), lambda sock, _: sock.recv(1)]
)
def test_what_counts_as_a_failure(service, answer):
    service.says(answer)
    fail(service, timeout=0.3)
    assert breaker.state(HERE).failures == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 422, 429, 302])
def test_what_does_not(service, status):
    service.says(http(status))
    for _ in range(4):
        with pytest.raises((BadAnswer, SignInFailed, Throttled)):
            call(service)
    assert breaker.state(HERE).failures == 0
    assert len(service.requests) == 4


def test_a_refused_address_says_nothing_about_the_service(service, settings):
    settings.EGRESS_ALLOW_CIDRS = []
    from core.errors import AddressRefused

    for _ in range(4):
        with pytest.raises(AddressRefused):
            call(service)
    assert not Circuit.objects.exists()


def test_an_expected_error_status_is_no_failure(service):
    service.says(http(500))
    for _ in range(4):
        door(breaker_failures=1).request("POST", service.url, expected={200, 500})
    assert not Circuit.objects.exists()


def test_a_probe_that_succeeds_closes_it(service):
    service.says(http(500), http(500), http(500), http(200))
    fail(service, 3)
    hold_is_over()
    call(service)
    state = breaker.state(HERE)
    assert (state.state, state.failures, state.trips, state.hold_until) == (CircuitState.CLOSED, 0, 0, None)
    call(service)


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_an_hour(service):
    service.says(http(500))
    fail(service, 3)
    holds = []
    for _ in range(9):
        hold_is_over()
        fail(service)
        holds.append(hold())
        with pytest.raises(CircuitOpen):
            call(service)
    assert holds == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert breaker.state(HERE).trips == 10


def test_while_the_probe_is_under_way_all_others_are_refused(service):
    def nested(sock, request):
        seen.append(request)
        sock.sendall(http(200))

    seen = []
    service.says(http(500), http(500), http(500), nested)
    fail(service, 3)
    hold_is_over()
    terms = door(breaker_failures=3).terms
    leave = breaker.enter(terms)
    assert leave.probe is not None
    assert breaker.state(HERE).state == CircuitState.HALF_OPEN
    with pytest.raises(CircuitOpen):
        breaker.enter(terms)
    with pytest.raises(CircuitOpen):
        call(service)
    assert seen == []
    breaker.success(terms, leave)
    call(service)


def test_a_probe_whose_process_died_is_replaced_and_its_late_word_ignored(service):
    service.says(http(500))
    fail(service, 3)
    hold_is_over()
    terms = door(breaker_failures=3, timeout=5.0).terms
    dead = breaker.enter(terms)
    lifetime = (Circuit.objects.get().hold_until - timezone.now()).total_seconds()
    assert 5 < lifetime <= 15
    hold_is_over()
    second = breaker.enter(terms)
    assert second.probe not in (None, dead.probe)
    breaker.success(terms, dead)
    breaker.failure(terms, dead, "late")
    assert (breaker.state(HERE).state, Circuit.objects.get().probe_token) == (CircuitState.HALF_OPEN, second.probe)


def test_a_probe_that_our_own_limit_stops_frees_its_place(service):
    service.says(http(500), http(500), http(500), http(200))
    fail(service, 3)
    hold_is_over()
    with pytest.raises(QuotaUsedUp):
        call(service, quota_limit=0)
    assert breaker.state(HERE).state == CircuitState.OPEN
    assert call(service).status == 200


def test_a_probe_that_is_interrupted_frees_its_place(service, monkeypatch):
    service.says(http(500), http(500), http(500), http(200))
    fail(service, 3)
    hold_is_over()

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("core.http.client.exchange", interrupted)
        with pytest.raises(KeyboardInterrupt):
            call(service)
    assert breaker.state(HERE).state == CircuitState.OPEN
    assert call(service).status == 200


def test_no_token_is_fetched_while_it_is_open(service):
    applied = []

    class Fetching(Token):
        def apply(self, request):
            applied.append(1)
            super().apply(request)

    service.says(http(500))
    fail(service, 3)
    with pytest.raises(CircuitOpen):
        door(Fetching("token-1234"), breaker_failures=3).request("GET", service.url)
    assert applied == []


def test_a_sign_in_by_the_same_integration_may_be_the_probe(service):
    class Fetching(Token):
        def apply(self, request):
            door(breaker_failures=3).request("POST", f"{service.url}/token")
            super().apply(request)

    service.says(http(500), http(500), http(500), http(200))
    fail(service, 3)
    hold_is_over()
    assert door(Fetching("token-1234"), breaker_failures=3).request("GET", service.url).status == 200
    assert breaker.state(HERE).state == CircuitState.CLOSED


def test_a_reset_closes_it_at_once(service):
    service.says(http(500), http(500), http(500), http(200))
    fail(service, 3)
    assert breaker.reset(HERE)
    assert breaker.state(HERE).failures == 0
    assert not breaker.reset(HERE)
    assert call(service).status == 200


def test_a_reset_takes_the_word_from_a_probe_under_way(service):
    service.says(http(500))
    fail(service, 3)
    hold_is_over()
    terms = door(breaker_failures=3).terms
    leave = breaker.enter(terms)
    breaker.reset(HERE)
    breaker.failure(terms, leave, "late")
    assert breaker.state(HERE).state == CircuitState.CLOSED


def test_a_late_failure_does_not_lengthen_the_hold(service):
    service.says(http(500))
    terms = door(breaker_failures=3).terms
    late = breaker.enter(terms)
    fail(service, 3)
    before = Circuit.objects.get().hold_until
    breaker.failure(terms, late, "late")
    assert Circuit.objects.get().hold_until == before
    breaker.success(terms, late)
    assert breaker.state(HERE).state == CircuitState.OPEN


def test_the_state_is_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        breaker.state(HERE)


def test_terms_without_a_breaker_neither_ask_nor_tell_it(service):
    service.says(http(500))
    fail(service, 3)
    asked = len(service.requests)
    fail(service, 4, breaker_failures=0)
    assert len(service.requests) == asked + 4
    assert breaker.state(HERE).failures == 3


def test_those_that_are_not_closed_are_counted(service):
    assert breaker.not_closed() == {"open": 0, "half_open": 0}
    service.says(http(500))
    fail(service, 3)
    assert breaker.not_closed() == {"open": 1, "half_open": 0}
