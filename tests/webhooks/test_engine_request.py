from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from core import redact
from core.fields import RawJSONField
from core.http.messages import OutboundRequest
from core.models import RuntimeSettings
from core.runtime import NAMES, Runtime
from core.texts import storable
from integrations.contract.outbound import FollowUpStart
from tests.webhooks.engine_kit import NOW, SECRET, claimed, reply, row
from webhooks.choices import ErrorClass, Outcome
from webhooks.engine.request import USER_AGENT, attempt, build, shown_headers, without_answer
from webhooks.engine.targets import body
from webhooks.engine.types import Claimed, Result
from webhooks.secrets import initial, new_secret, rotated, signing_secrets

pytestmark = pytest.mark.once
_DEFAULTS = RuntimeSettings()
LIMITS = Runtime(**{name: getattr(_DEFAULTS, name) for name in NAMES})


class FakeSender:
    """Notes requests and answers with what it was given."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.requests: list[OutboundRequest] = []

    async def send(self, request: OutboundRequest) -> Any:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def sent(one: Claimed, answer: Any) -> Result:
    return await attempt(FakeSender(answer), one, LIMITS, lambda: 0.5)  # type: ignore[arg-type]


# --- the request ------------------------------------------------------------------------------------------------------


def test_it_is_what_standard_webhooks_ask_for() -> None:
    one = claimed(row=row(attempts=2, event_type="finding.opened", request_id="req-1"))
    request = build(one, LIMITS)
    assert request.url == one.target.url
    assert request.headers["webhook-id"] == str(one.row.event_id)
    assert abs(int(request.headers["webhook-timestamp"]) - timezone.now().timestamp()) < 5
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == USER_AGENT
    assert request.headers["X-RepoGuard-Event"] == "finding.opened"
    assert request.headers["X-RepoGuard-Delivery"] == str(one.delivery_id)
    assert request.headers["X-RepoGuard-Attempt"] == "3"
    assert request.headers["X-Request-Id"] == "req-1"
    assert "X-RepoGuard-Replay" not in request.headers
    assert (request.connect_timeout, request.total_timeout, request.max_response_body) == (5.0, 15.0, 16_384)


def test_a_replay_says_so() -> None:
    assert build(claimed(row=row(trigger="replay")), LIMITS).headers["X-RepoGuard-Replay"] == "true"


def test_without_a_request_id_none_is_sent() -> None:
    assert "X-Request-Id" not in build(claimed(), LIMITS).headers


@pytest.mark.parametrize("data", [{}, {"text": "größer 😀 \u2028"}, {"n": "x" * 300_000}, {"deep": [[[{"a": None}]]]}])
def test_an_independent_library_verifies_it(data: dict[str, Any]) -> None:
    one = claimed(body(row(data=RawJSONField.dump(data)), {}))
    request = build(one, LIMITS)
    told = Verifier(SECRET).verify(request.body, dict(request.headers))
    assert told["data"] == data


def test_during_a_rotation_both_secrets_verify() -> None:
    old, new, never = new_secret(), new_secret(), new_secret()
    stored = rotated(initial(old), new, overlap_hours=1)
    one = claimed(b'{"a":1}', secrets=tuple(signing_secrets(stored, timezone.now())))
    headers = dict(build(one, LIMITS).headers)
    for secret in (old, new):
        assert Verifier(secret).verify(one.body, headers) == {"a": 1}
    with pytest.raises(WebhookVerificationError):
        Verifier(never).verify(one.body, headers)
    later = tuple(signing_secrets(stored, timezone.now() + timedelta(hours=2)))
    assert later == (new,)


def test_a_changed_body_does_not_verify() -> None:
    one = claimed(b'{"a":1}')
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(b'{"a":2}', dict(build(one, LIMITS).headers))


@pytest.mark.parametrize(
    "name", ["webhook-id", "Webhook-Signature", "WEBHOOK-TIMESTAMP", "content-type", "x-repoguard-event", "X-REQUEST-ID"]
)
def test_a_custom_header_never_takes_the_place_of_ours(name: str) -> None:
    one = claimed(headers={name: "forged", "X-Mine": "kept"}, row=row(request_id="req-1"))
    headers = build(one, LIMITS).headers
    assert "forged" not in headers.values()
    assert headers["X-Mine"] == "kept"
    assert len({given.lower() for given in headers}) == len(headers)


def test_shown_headers_hide_secrets_and_show_ours() -> None:
    one = claimed(headers={"Authorization": "Bearer hush-hush", "Accept": "secret-too"}, row=row(request_id="req-1"))
    request = build(one, LIMITS)
    shown = shown_headers(one, request)
    assert set(shown) == set(request.headers)
    for name in ("Authorization", "Accept", "webhook-signature"):
        assert shown[name] == redact.MASK
    for name in ("webhook-id", "webhook-timestamp", "X-RepoGuard-Event", "X-RepoGuard-Delivery", "X-RepoGuard-Attempt", "X-Request-Id"):
        assert shown[name] == request.headers[name]
    assert shown_headers(claimed(), build(claimed(row=row(trigger="replay")), LIMITS))["X-RepoGuard-Replay"] == "true"


def test_no_secret_is_in_a_repr() -> None:
    one = claimed(headers={"Authorization": "Bearer hush-hush"}, url="https://user:pass@example.com/s3cret")
    for shown in (repr(one), repr(one.target), repr(build(one, LIMITS))):
        for word in (SECRET, "hush-hush", "v1,"):
            assert word not in shown
    assert "s3cret" not in repr(one)


# --- the body ---------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner, max_size=4),
    max_leaves=15,
)


@given(json_values)
def test_data_arrives_as_it_was_posted(data: Any) -> None:
    text = RawJSONField.dump({"data": data})
    told = json.loads(body(row(data=text), {}))
    assert told["data"] == {"data": data}


def test_awkward_data_arrives_as_it_was_posted() -> None:
    data = {"nul": "a\u0000b", "lone": "\ud800", "big": 2**70, "small": 1e-300, "order": {"z": 1, "a": 2}, "": ""}
    told = json.loads(body(row(data=RawJSONField.dump(data)), {}))
    assert told["data"] == data
    assert list(told["data"]["order"]) == ["z", "a"]


def test_the_envelope_has_four_members_in_order() -> None:
    one = row(event_at=datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC).timestamp(), event_type="custom.a-b", data='{"a":1}')
    text = body(one, {})
    assert text == f'{{"id":"{one.event_id}","type":"custom.a-b","timestamp":"2026-01-02T03:04:05.678Z","data":{{"a":1}}}}'.encode()
    assert list(json.loads(text)) == ["id", "type", "timestamp", "data"]


def test_a_whole_second_has_milliseconds_too() -> None:
    assert b'"timestamp":"2026-05-04T12:00:00.000Z"' in body(row(event_at=NOW.timestamp()), {})


def test_a_large_payload_comes_from_its_own_reading() -> None:
    one = row(data=None)
    assert json.loads(body(one, {one.event_id: '{"big":true}'}))["data"] == {"big": True}


# --- the attempt ------------------------------------------------------------------------------------------------------


async def test_a_success(caplog: pytest.LogCaptureFixture) -> None:
    one = claimed()
    with caplog.at_level(logging.DEBUG, "webhooks.engine.request"):
        found = await sent(one, reply(204))
    assert (found.verdict.outcome, found.claimed, found.answer.status) == (Outcome.SUCCESS, one, 204)
    assert found.request_headers["webhook-signature"] == redact.MASK
    assert [record.message for record in caplog.records] == ["delivery_succeeded"]


async def test_successes_are_not_logged_line_by_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "webhooks.engine.request"):
        await sent(claimed(), reply(204))
    assert not caplog.records


async def test_a_failure_is_logged_with_its_request_id(caplog: pytest.LogCaptureFixture) -> None:
    one = claimed(row=row(request_id="req-9"))
    with caplog.at_level(logging.INFO, "webhooks.engine.request"):
        found = await sent(one, reply(500))
    assert (found.verdict.outcome, found.verdict.delay) == (Outcome.RETRY, 5.0)
    (line,) = caplog.records
    assert (line.message, line.__dict__["request_id"], line.__dict__["status"]) == ("delivery_attempt_failed", "req-9", 500)
    assert SECRET not in str(line.__dict__)


async def test_an_unreadable_secret_ends_the_attempt_without_a_request() -> None:
    sender = FakeSender(reply())
    found = await attempt(sender, claimed(problem="The key is gone."), LIMITS, lambda: 0.5)  # type: ignore[arg-type]
    assert not sender.requests
    assert (found.verdict.error_class, found.verdict.error) == (ErrorClass.UNREADABLE_SECRET, "The key is gone.")
    assert (found.verdict.outcome, found.verdict.unhealthy, found.verdict.delay) == (Outcome.RETRY, False, 5.0)


@pytest.mark.parametrize("broken", [RuntimeError("bug"), reply(error_class="no-such-class", status=None)])
async def test_a_bug_of_ours_ends_the_attempt_and_is_tried_again(broken: Any, caplog: pytest.LogCaptureFixture) -> None:
    found = await sent(claimed(), broken)
    assert (found.verdict.error_class, found.verdict.outcome, found.verdict.unhealthy) == (ErrorClass.INTERNAL, Outcome.RETRY, False)
    assert "attempt_failed" in caplog.text
    assert SECRET not in caplog.text


async def test_a_bug_on_the_last_attempt_is_final() -> None:
    found = await sent(claimed(row=row(step=2)), RuntimeError("bug"))
    assert (found.verdict.outcome, found.verdict.exhausted, found.verdict.unhealthy) == (Outcome.FAILED, True, False)


async def test_what_databases_refuse_is_taken_out_of_an_answer() -> None:
    found = await sent(claimed(), reply(200, headers={"server": "caf\udce9\0", "date": "today"}, error="a\0b"))
    assert found.answer.headers == {"server": "caf?\N{SYMBOL FOR NULL}", "date": "today"}
    assert found.answer.error == "a\N{SYMBOL FOR NULL}b"


@pytest.mark.parametrize(("text", "kept"), [("plain", "plain"), ("größe", "größe"), ("\ud800", "?"), ("\0", "\N{SYMBOL FOR NULL}")])
def test_storable(text: str, kept: str) -> None:
    assert storable(text) == kept


async def test_an_answer_that_could_not_be_stored_is_left_out() -> None:
    found = await sent(claimed(), reply(500, body=b"poison"))
    found.packed, found.follow_up = b"poison", FollowUpStart("https://ci/1")
    bare = without_answer(found)
    assert (bare.packed, bare.follow_up) == (b"", None)
    assert (bare.answer.body, bare.answer.status, bare.request_headers) == (b"", None, {})
    assert (bare.verdict.outcome, bare.verdict.error_class, bare.verdict.delay) == (Outcome.RETRY, ErrorClass.INTERNAL, found.verdict.delay)
    assert (bare.claimed, bare.ended_at) == (found.claimed, found.ended_at)
