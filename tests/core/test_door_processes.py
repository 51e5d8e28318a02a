"""Four processes at one door: rate, quota and breaker are exact, and one probe goes through among all of them."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.utils import timezone

from core.models import Circuit, QuotaUsage, RequestLog
from core.models.outbound import CircuitState
from tests.core.door_stub import http, serving
from tests.core.portal import wait_for
from tests.core.processes import line_of, python, say

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]
HERE = uuid.UUID(int=7)
PROCESSES = 4
BREAKER = {"breaker_failures": 1, "breaker_hold_seconds": 600}

_CALLER = """
import json, uuid
from django.conf import settings
from core.errors import RepoGuardError
from core.http.client import Door
from core.http.door import Terms
settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
fixed = dict(integration_id=uuid.UUID(int=7), name="Tracker", attempts=1, longest_wait=0.0, timeout=20.0)
print("ready", flush=True)
for line in iter(sys.stdin.readline, ""):
    order = json.loads(line)
    door = Door(Terms(**fixed, **order["terms"]))
    outcomes = []
    for _ in range(order["times"]):
        try:
            outcomes.append(str(door.request("GET", order["url"]).status))
        except RepoGuardError as error:
            outcomes.append(error.code)
    print(*outcomes, flush=True)
"""


@pytest.fixture
def service():
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def processes(django_db_setup, django_db_blocker):
    """Return four processes that wait for orders; starting them takes longer than all the tests."""
    with django_db_blocker.unblock(), ExitStack() as stack:
        started = [stack.enter_context(python(_CALLER)) for _ in range(PROCESSES)]
        assert [line_of(process) for process in started] == ["ready"] * PROCESSES
        yield started


def order(process, service, times, terms):
    say(process, json.dumps({"url": service.url, "times": times, "terms": terms}))


@pytest.fixture
def callers(processes, service):
    """Return a function that names the terms, and gives one that makes so many calls in each process, all at once."""

    def start(**terms):
        def call(times):
            for process in processes:
                order(process, service, times, terms)
            return [outcome for process in processes for outcome in line_of(process).split()]

        return call

    return start


def hold_is_over():
    Circuit.objects.update(hold_until=timezone.now() - timedelta(seconds=1))


def test_the_quota_is_exact(callers, service):
    outcomes = callers(quota_limit=50, quota_window_seconds=7 * 86_400)(25)
    assert (outcomes.count("200"), outcomes.count("quota_used_up")) == (50, 50)
    assert len(service.requests) == 50
    assert QuotaUsage.objects.get().used == 50
    assert RequestLog.objects.filter(outcome="success").count() == 50
    assert RequestLog.objects.filter(outcome="refused", error_class="quota_used_up").count() == 50


def test_the_rate_is_exact_in_each_minute(callers, service):
    outcomes = callers(rate_per_minute=10)(25)
    by_minute = list(QuotaUsage.objects.filter(window_seconds=60).values_list("used", flat=True))
    assert len(by_minute) in (1, 2)  # a full minute may pass in the middle
    assert max(by_minute) == 10
    assert outcomes.count("200") == len(service.requests) == sum(by_minute)


def test_failures_are_counted_exactly(callers, service):
    service.says(http(500))
    outcomes = callers(breaker_failures=41)(10)
    assert outcomes.count("bad_answer") == 40
    assert Circuit.objects.get().failures == 40
    assert Circuit.objects.get().state == CircuitState.CLOSED


def test_an_open_breaker_lets_exactly_one_probe_through(callers, service):
    service.says(http(500))
    call = callers(**BREAKER)
    call(1)
    for round_ in range(1, 6):
        before = len(service.requests)
        hold_is_over()
        outcomes = call(3)
        assert len(service.requests) - before == 1, outcomes
        assert sorted(outcomes) == ["bad_answer"] + ["circuit_open"] * 11
        assert Circuit.objects.get().trips == 1 + round_


def test_a_probe_that_succeeds_lets_all_through(processes, callers, service):
    go_on = threading.Event()

    def slow(sock, request):
        go_on.wait(60)
        sock.sendall(http(200))

    service.says(http(500))
    call = callers(**BREAKER)
    call(1)
    RequestLog.objects.all().delete()
    failed = len(service.requests)
    service.says(*[http(500)] * failed, slow, http(200))
    hold_is_over()
    for process in processes:
        order(process, service, 1, BREAKER)
    wait_for(lambda: RequestLog.objects.filter(error_class="circuit_open").count() == 3, "the other three to be refused")
    go_on.set()
    outcomes = [line_of(process) for process in processes]
    assert sorted(outcomes) == ["200"] + ["circuit_open"] * 3
    assert call(2) == ["200"] * 8


def test_a_probe_whose_process_is_killed_is_replaced(callers, service):
    Circuit.objects.create(integration_id=HERE, state=CircuitState.OPEN, failures=1, trips=1, hold_until=timezone.now())
    hanging = []
    service.says(lambda sock, request: (hanging.append(1), sock.recv(1)))
    with python(_CALLER) as doomed:
        line_of(doomed)
        order(doomed, service, 1, {})
        wait_for(lambda: hanging, "the probe")
    assert Circuit.objects.get().state == CircuitState.HALF_OPEN
    service.says(http(200))
    call = callers()
    assert call(1) == ["circuit_open"] * 4
    hold_is_over()
    assert "200" in call(1)
    assert call(1) == ["200"] * 4


def test_after_a_service_says_wait_no_process_calls_it(callers, service):
    service.says(http(429, retry_after="600"))
    call = callers()
    call(1)
    first = len(service.requests)
    assert 1 <= first <= PROCESSES
    assert call(3) == ["throttled"] * 12
    assert len(service.requests) == first
