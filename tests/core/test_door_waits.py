"""What the door does when a service fails for a moment, or asks to wait: sleep shortly, or raise, and never hammer."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from requests.structures import CaseInsensitiveDict

from core.http import pauses, waits
from core.http.door import BadAnswer, CallFailed, Throttled
from core.http.waits import asked_wait, backoff
from core.models import RequestLog
from tests.core.door_stub import door, http, serving

# the database only keeps the log here; PostgreSQL has its turn in test_door_processes
pytestmark = [pytest.mark.django_db, pytest.mark.once]
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _open(settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]


@pytest.fixture
def service():
    with serving() as running:
        yield running


@pytest.fixture
def slept(monkeypatch):
    """Return the list of sleeps; the clock of the pauses jumps on by each."""
    sleeps = []

    def sleep(seconds):
        sleeps.append(round(seconds, 1))
        offset[0] += seconds

    offset = [0.0]
    monkeypatch.setattr("core.http.client.sleep", sleep)
    monkeypatch.setattr("core.http.pauses.time", lambda: time.time() + offset[0])
    return sleeps


def rows():
    return list(RequestLog.objects.order_by("id").values_list("outcome", "status_code", "error_class", "attempt"))


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "30"}, 30.0),
        (429, {"Retry-After": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90.0),
        (429, {"Retry-After": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, 0.0),
        (429, {"Retry-After": "soon"}, None),
        (429, {}, None),
        (503, {"Retry-After": "5"}, 5.0),
        (503, {}, None),
        (403, {}, None),
        (403, {"Retry-After": "60"}, 60.0),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 600)}, 600.0),
        (403, {"X-RateLimit-Remaining": "12", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 600)}, None),
        (429, {"X-RateLimit-Reset": str(int(NOW.timestamp()) + 600)}, 600.0),
        (429, {"X-RateLimit-Reset": str((int(NOW.timestamp()) + 600) * 1000)}, 600.0),
        (429, {"X-RateLimit-Reset": str(int(NOW.timestamp()) - 600)}, 0.0),
        (429, {"RateLimit-Remaining": "0", "RateLimit-Reset": "42"}, 42.0),
        (429, {"RateLimit-Reset": str(int(NOW.timestamp()) + 42)}, 42.0),
        (429, {"X-RateLimit-Reset-After": "0.5", "X-RateLimit-Reset": "99"}, 0.5),
        (429, {"Retry-After": "7", "X-RateLimit-Reset": "99"}, 7.0),
        (429, {"RateLimit-Reset": "-1"}, None),
        (429, {"Retry-After": "999999999"}, waits.LONGEST_PAUSE_SECONDS),
        (429, {"X-RateLimit-Reset": "9999999999"}, waits.LONGEST_PAUSE_SECONDS),
        (200, {"Retry-After": "30"}, None),
        (500, {"Retry-After": "30"}, None),
        (404, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, None),
    ],
)
def test_what_an_answer_says_about_waiting(status, headers, seconds):
    assert asked_wait(status, CaseInsensitiveDict(headers), NOW) == seconds


def test_the_backoff_doubles_with_jitter_up_to_its_end():
    for attempt, whole in enumerate([0.5, 1, 2, 4, 8, 8, 8], start=1):
        for _ in range(20):
            assert whole / 2 <= backoff(attempt) <= whole
    assert backoff(5000) <= 8


def test_a_short_wait_is_slept_through(service, slept):
    service.says(http(429, retry_after="2"), http(200))
    assert door(attempts=3, longest_wait=5.0).request("GET", service.url).status == 200
    assert slept == [2.0]
    assert rows() == [("unexpected", 429, "throttled", 1), ("success", 200, "", 2)]
    assert list(RequestLog.objects.order_by("id").values_list("retry_after", flat=True)) == [2.0, None]


def test_a_long_wait_is_raised_and_not_slept(service, slept):
    service.says(http(429, retry_after="6"), http(200))
    with pytest.raises(Throttled) as throttled:
        door(attempts=3, longest_wait=5.0).request("GET", service.url)
    assert throttled.value.retry_after == 6.0
    assert not throttled.value.permanent
    assert slept == []
    assert len(service.requests) == 1


def test_waits_add_up_against_the_longest(service, slept):
    service.says(http(429, retry_after="3"))
    with pytest.raises(Throttled):
        door(attempts=9, longest_wait=5.0).request("GET", service.url)
    assert slept == [3.0]
    assert len(service.requests) == 2


def test_githubs_403_is_a_wait_and_a_plain_403_is_not(service):
    reset = str(int(time.time()) + 1800)
    service.says(http(403, x_ratelimit_remaining="0", x_ratelimit_reset=reset))
    with pytest.raises(Throttled) as throttled:
        door().request("GET", service.url)
    assert 1790 < throttled.value.retry_after <= 1800
    pauses.forget(uuid.UUID(int=7))
    service.says(http(403, x_ratelimit_remaining="50", x_ratelimit_reset=reset))
    with pytest.raises(BadAnswer) as bad:
        door().request("GET", service.url)
    assert bad.value.permanent


def test_a_429_without_a_time_waits_a_minute_and_pauses_nobody(service):
    service.says(http(429))
    with pytest.raises(Throttled, match="without saying for how long") as throttled:
        door().request("GET", service.url)
    assert throttled.value.retry_after == 60.0
    service.says(http(429), http(200))
    assert door().request("GET", service.url).status == 200


def test_a_429_without_a_time_pauses_where_the_caller_knows_for_how_long(service, slept):
    service.says(http(429), http(200))
    with pytest.raises(Throttled) as throttled:
        door(attempts=3).request("GET", service.url, unnamed_wait=60.0)
    assert throttled.value.retry_after == 60.0
    with pytest.raises(Throttled, match="not to be called"):
        door().request("GET", service.url)
    assert (len(service.requests), slept) == (1, [])


def test_after_a_wait_was_asked_for_no_call_of_that_integration_is_sent(service, slept):
    service.says(http(503, retry_after="40"), http(200))
    with pytest.raises(Throttled):
        door().request("POST", service.url)
    with pytest.raises(Throttled, match="asked not to be called for another") as throttled:
        door(attempts=3, longest_wait=5.0).request("GET", service.url)
    assert 39 < throttled.value.retry_after <= 40
    assert len(service.requests) == 1
    assert rows() == [("unexpected", 503, "throttled", 1), ("refused", None, "throttled", 1)]
    assert door(integration_id=uuid.UUID(int=8)).request("GET", service.url).status == 200
    assert door(longest_wait=60.0).request("GET", service.url).status == 200
    assert len(slept) == 1


def test_a_pause_is_never_shortened_and_can_be_ended():
    here = uuid.uuid4()
    pauses.pause(here, 100)
    pauses.pause(here, 10)
    assert 99 < pauses.remaining(here) <= 100
    pauses.forget(here)
    assert pauses.remaining(here) == 0


def test_pauses_are_shared_through_redis_too(redis_url, monkeypatch):
    from django.core.cache.backends.redis import RedisCache

    cache = RedisCache(redis_url, {})
    monkeypatch.setattr("core.http.pauses.caches", {"counters": cache})
    here = uuid.uuid4()
    assert pauses.remaining(here) == 0
    pauses.pause(here, 1.5)
    pauses.pause(here, 1.0)
    assert 1 < pauses.remaining(here) <= 1.5
    pauses.forget(here)
    assert pauses.remaining(here) == 0


def test_without_the_counters_calls_go_on(service, monkeypatch):
    class Broken:
        def get(self, *args):
            raise OSError

        set = delete = get

    monkeypatch.setattr("core.http.pauses.caches", {"counters": Broken()})
    service.says(http(429, retry_after="100"), http(200))
    with pytest.raises(Throttled):
        door().request("GET", service.url)
    assert door().request("GET", service.url).status == 200
    pauses.forget(uuid.UUID(int=7))


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_a_repeatable_call_is_tried_again(service, slept, method):
    service.says(http(500, b""), http(502, b""), http(200, b""))
    assert door(attempts=3, longest_wait=5.0).request(method, service.url).status == 200
    assert len(slept) == 2
    assert [row[3] for row in rows()] == [1, 2, 3]


def test_tries_end(service, slept):
    service.says(http(500))
    with pytest.raises(BadAnswer):
        door(attempts=3, longest_wait=5.0).request("GET", service.url)
    assert len(service.requests) == 3
    assert len(rows()) == 3


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_call_that_may_do_something_twice_is_not_repeated(service, slept, method):
    service.says(http(503))
    with pytest.raises(BadAnswer):
        door(attempts=3, longest_wait=5.0).request(method, service.url, json={})
    assert len(service.requests) == 1


def test_the_caller_may_say_otherwise(service, slept):
    service.says(http(503), http(200), http(503))
    assert door(attempts=3, longest_wait=5.0).request("POST", service.url, repeatable=True).status == 200
    with pytest.raises(BadAnswer):
        door(attempts=3, longest_wait=5.0).request("GET", service.url, repeatable=False)
    assert len(service.requests) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 501])
def test_what_will_not_change_is_not_repeated(service, slept, status):
    service.says(http(status))
    with pytest.raises(BadAnswer):
        door(attempts=3, longest_wait=5.0).request("GET", service.url)
    assert len(service.requests) == 1


def test_a_lost_connection_is_tried_again(service, slept):
    service.says(lambda sock, _: None, http(200))
    assert door(attempts=2, longest_wait=5.0).request("GET", service.url).status == 200
    assert rows() == [("failed", None, "disconnected", 1), ("success", 200, "", 2)]


def test_one_try_is_one_try(service, slept):
    service.says(lambda sock, _: None, http(200))
    with pytest.raises(CallFailed):
        door(attempts=1).request("GET", service.url)
    assert len(service.requests) == 1
