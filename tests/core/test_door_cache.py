"""Kept answers: asked about, used while fresh, standing in while the service can't be asked, never given to other credentials."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from core.http import answers, pauses
from core.http.door import BadAnswer, CircuitOpen, SignInFailed
from core.models import CachedAnswer, RequestLog
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


def outcomes():
    return list(RequestLog.objects.order_by("id").values_list("outcome", flat=True))


def age_by(seconds):
    step = timedelta(seconds=seconds)
    CachedAnswer.objects.update(stored_at=F("stored_at") - step)
    CachedAnswer.objects.filter(fresh_until__isnull=False).update(fresh_until=F("fresh_until") - step)


def test_an_answer_with_an_etag_is_asked_about(service):
    service.says(http(200, b'{"a": 1}', etag='"v1"', link='<https://example.com/2>; rel="next"'), http(304))
    first = door().request("GET", service.url)
    age_by(100)
    again = door().request("GET", service.url)
    assert b'If-None-Match: "v1"' in service.requests[1]
    assert (again.status, again.json(), again.headers["Link"]) == (200, first.json(), first.headers["link"])
    assert (again.cached, again.stale, again.age) == (True, False, 0.0)
    assert outcomes() == ["success", "not_modified"]
    assert (timezone.now() - CachedAnswer.objects.get().stored_at).total_seconds() < 60


def test_the_headers_of_a_304_count(service):
    # a list's last page stays as it is when another page is added behind it
    link = '<https://example.com/2>; rel="next"'
    service.says(http(200, b"[1]", etag='"v1"', x_left="9", x_stays="1"), http(304, link=link, x_left="8"))
    door().request("GET", service.url)
    again = door().request("GET", service.url)
    assert (again.json(), again.headers["link"], again.headers["X-Left"], again.headers["x-stays"]) == ([1], link, "8", "1")
    assert "Content-Length" not in again.headers


def test_an_answer_with_a_date_is_asked_about(service):
    date = "Sun, 01 Mar 2026 12:00:00 GMT"
    service.says(http(200, b"1", last_modified=date), http(304))
    door().request("GET", service.url)
    assert door().request("GET", service.url).json() == 1
    assert f"If-Modified-Since: {date}".encode() in service.requests[1]


def test_a_changed_answer_replaces_the_kept_one(service):
    service.says(http(200, b"1", etag='"v1"'), http(200, b"2", etag='"v2"'), http(304))
    answers_ = [door().request("GET", service.url).json() for _ in range(3)]
    assert answers_ == [1, 2, 2]
    assert b'If-None-Match: "v2"' in service.requests[2]
    assert CachedAnswer.objects.count() == 1


def test_a_fresh_answer_is_used_without_asking(service):
    service.says(http(200, b"1"), http(200, b"2"))
    door().request("GET", service.url, cache_seconds=60)
    age_by(30)
    reply = door().request("GET", service.url, cache_seconds=60)
    assert (reply.json(), reply.cached, reply.stale) == (1, True, False)
    assert 29 < reply.age < 40
    assert outcomes() == ["success", "cached"]
    assert door().request("GET", service.url).json() == 2
    age_by(61)
    assert door().request("GET", service.url, cache_seconds=60).json() == 2
    assert len(service.requests) == 3


def test_nothing_is_kept_that_is_of_no_use(service):
    service.says(http(200, b"1"))
    door().request("GET", service.url)
    service.says(http(200, b"1", cache_control="private, No-Store", etag='"a"'))
    door().request("GET", service.url, cache_seconds=60)
    service.says(http(200, b"1" * (answers.MAX_BODY + 1), etag='"a"'))
    door().request("GET", service.url, cache_seconds=60)
    service.says(http(200, b"1", etag='"a"'))
    door().request("POST", service.url, cache_seconds=60)
    door().request("GET", service.url, headers={"If-None-Match": '"mine"'})
    service.says(http(404, b"1", etag='"a"'))
    door().request("GET", service.url, cache_seconds=60, expected={404})
    assert not CachedAnswer.objects.exists()


def test_a_kept_answer_must_be_what_is_expected(service):
    service.says(http(200, b"1", etag='"x"'), http(202, b"2"))
    door().request("GET", service.url, cache_seconds=60)
    assert door().request("GET", service.url, cache_seconds=60, expected={202}).json() == 2


def test_a_304_that_nobody_asked_for_is_unexpected(service):
    service.says(http(304))
    with pytest.raises(BadAnswer):
        door().request("GET", service.url)
    assert door().request("GET", service.url, headers={"If-None-Match": '"mine"'}, expected={304}).status == 304


@pytest.mark.parametrize(
    "other",
    [
        lambda url: door(Token("token-of-b")).request("GET", url, cache_seconds=60),
        lambda url: door().request("GET", url, cache_seconds=60),
        lambda url: door(Token("token-of-a"), integration_id=uuid.UUID(int=8)).request("GET", url, cache_seconds=60),
        lambda url: door(Token("token-of-a")).request("GET", url, cache_seconds=60, params={"page": "2"}),
        lambda url: door(Token("token-of-a")).request("GET", url, cache_seconds=60, headers={"Accept": "text/plain"}),
        lambda url: door(Token("token-of-a")).request("GET", url + "/x", cache_seconds=60),
    ],
)
def test_an_answer_is_never_given_to_another(service, other):
    service.says(http(200, b'"of a"', etag='"x"'), http(200, b'"of b"'))
    door(Token("token-of-a")).request("GET", service.url, cache_seconds=60)
    assert other(service.url).json() == "of b"
    assert b"if-none-match" not in service.requests[1].lower()
    assert door(Token("token-of-a")).request("GET", service.url, cache_seconds=60).json() == "of a"


def test_it_is_encrypted_with_its_headers_and_has_no_cookies(service):
    service.says(http(200, b'{"a": "plain-text-body"}', etag='"x"', x_thing="plain-text-header", set_cookie="plain-text-cookie=1"))
    door(Token("plain-text-token")).request("GET", service.url + "/plain-text-path")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM core_cachedanswer")
        stored = b" ".join(bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode() for value in cursor.fetchone())
    assert b"plain-text" not in stored
    kept = answers.find(CachedAnswer.objects.get().key)
    assert kept.headers["x-thing"] == "plain-text-header"
    assert "Set-Cookie" not in kept.headers
    assert "plain-text" not in repr(kept)


def test_one_that_cannot_be_read_counts_as_none(service, settings):
    from cryptography.fernet import Fernet

    service.says(http(200, b"1", etag='"x"'), http(200, b"2", etag='"y"'))
    door().request("GET", service.url)
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    assert door().request("GET", service.url).json() == 2
    assert b"If-None-Match" not in service.requests[1]


def test_an_expired_one_is_not_used(service):
    service.says(http(200, b"1", etag='"x"'))
    door().request("GET", service.url)
    CachedAnswer.objects.update(expires_at=timezone.now())
    door().request("GET", service.url)
    assert b"If-None-Match" not in service.requests[1]


@pytest.mark.parametrize(
    ("answer", "outcome"), [(http(500), ["unexpected"]), (lambda sock, _: None, ["failed"]), (http(503, retry_after="90"), ["unexpected"])]
)
def test_an_older_answer_stands_in_for_a_failure(service, answer, outcome):
    service.says(http(200, b"1"), answer)
    door(stale_seconds=3600).request("GET", service.url)
    age_by(600)
    reply = door(stale_seconds=3600).request("GET", service.url)
    assert (reply.json(), reply.stale, reply.cached, reply.status) == (1, True, True, 200)
    assert 599 < reply.age < 660
    assert outcomes() == ["success", *outcome, "stale"]
    row = RequestLog.objects.order_by("id").last()
    assert row.error
    assert row.status_code is None


@pytest.mark.parametrize("reason", ["breaker", "quota", "pause"])
def test_an_older_answer_stands_in_for_a_refusal_with_one_row(service, reason):
    service.says(http(200, b"1"), http(500))
    terms = {"stale_seconds": 3600, "breaker_failures": 1}
    door(**terms).request("GET", service.url)
    if reason == "breaker":
        with pytest.raises(BadAnswer):
            door(**terms).request("GET", service.url + "/other")
    if reason == "pause":
        pauses.pause(HERE, 60)
    if reason == "quota":
        terms["quota_limit"] = 0
    before = len(outcomes())
    assert door(**terms).request("GET", service.url).stale
    assert outcomes()[before:] == ["stale"]
    assert RequestLog.objects.order_by("id").last().retry_after > 0


def test_without_permission_or_when_too_old_nothing_stands_in(service):
    service.says(http(200, b"1", etag='"x"'), http(500))
    door(stale_seconds=60).request("GET", service.url)
    with pytest.raises(BadAnswer):
        door().request("GET", service.url)
    age_by(61)
    with pytest.raises(BadAnswer):
        door(stale_seconds=60).request("GET", service.url)
    assert "stale" not in outcomes()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_an_answer_that_means_no_is_not_papered_over(service, status):
    service.says(http(200, b"1"), http(status))
    door(stale_seconds=3600).request("GET", service.url)
    with pytest.raises((BadAnswer, SignInFailed)):
        door(stale_seconds=3600).request("GET", service.url)


def test_other_errors_still_name_themselves(service):
    service.says(http(500))
    with pytest.raises(BadAnswer):
        door(stale_seconds=3600, breaker_failures=1).request("GET", service.url)
    with pytest.raises(CircuitOpen):
        door(stale_seconds=3600, breaker_failures=1).request("GET", service.url)


def test_a_fresh_answer_is_asked_for_anew_and_kept_where_the_caller_knows_better(service):
    service.says(http(200, b"1"), http(200, b"2"))
    door().request("GET", service.url, cache_seconds=60)
    assert door().request("GET", service.url, cache_seconds=60, refresh=True).json() == 2
    assert door().request("GET", service.url, cache_seconds=60).json() == 2
    assert outcomes() == ["success", "success", "cached"]
