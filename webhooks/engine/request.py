"""From a leased delivery to a signed request, and from its answer to a result. No database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from time import time

from django.utils import timezone

from core import redact, signing
from core.errors import InvalidInput
from core.http.sender import Answer, OutboundRequest, Sender, Timings
from core.runtime import Runtime
from core.texts import storable
from webhooks.choices import ErrorClass, Outcome, Trigger
from webhooks.engine.judge import judge
from webhooks.engine.templating import templated
from webhooks.engine.types import Claimed, Result, Verdict

logger = logging.getLogger(__name__)
USER_AGENT = "RepoGuard-Webhooks/1"


async def attempt(sender: Sender, claimed: Claimed, limits: Runtime, random: Callable[[], float]) -> Result:
    """Send a delivery once and judge the answer; never raises, so that every lease ends with an outcome."""
    try:
        if claimed.target.problem:
            return _unsendable(claimed, ErrorClass.UNREADABLE_SECRET, claimed.target.problem, random)
        if claimed.target.template_id is not None:
            claimed = await templated(claimed)
        request = build(claimed, limits)
        answer = await sender.send(request)
        # header lines may hold any bytes; what no database stores would spoil a whole batch
        answer.headers = {storable(name): storable(value) for name, value in answer.headers.items()}
        answer.error = storable(answer.error)
        verdict = judge(answer, step=claimed.row.step + 1, schedule=claimed.target.schedule, random=random)
    except InvalidInput as error:  # what the template makes can't be sent
        return _unsendable(claimed, ErrorClass.UNSUITABLE, error.message, random)
    except Exception:  # an error of ours must end the attempt, be seen in the delivery's log, and be tried again
        logger.exception("attempt_failed", extra={"delivery": str(claimed.delivery_id), "request_id": claimed.row.request_id})
        return _unsendable(claimed, ErrorClass.INTERNAL, "The portal itself failed to send this; its log says why.", random)
    if verdict.outcome is not Outcome.SUCCESS:
        logger.info("delivery_attempt_failed", extra=facts(claimed, answer, verdict))
    elif logger.isEnabledFor(logging.DEBUG):
        logger.debug("delivery_succeeded", extra=facts(claimed, answer, verdict))
    return Result(claimed, answer, verdict, datetime.now(UTC), shown_headers(claimed, request))


def build(claimed: Claimed, limits: Runtime) -> OutboundRequest:
    """Return the signed request of a delivery (Standard Webhooks 1.0.0)."""
    timestamp = int(time())
    event_id = str(claimed.row.event_id)
    headers = {
        "Content-Type": "application/json" if claimed.target.rendered is None else claimed.target.rendered.content_type,
        "User-Agent": USER_AGENT,
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signing.signature_header(claimed.target.secrets, event_id, timestamp, claimed.body),
        "X-RepoGuard-Event": claimed.row.event_type,
        "X-RepoGuard-Delivery": str(claimed.delivery_id),
        "X-RepoGuard-Attempt": str(claimed.row.attempts + 1),
    }
    if claimed.row.request_id:
        headers["X-Request-Id"] = claimed.row.request_id
    if claimed.row.trigger == Trigger.REPLAY:
        headers["X-RepoGuard-Replay"] = "true"
    if claimed.target.headers:
        headers = _beside(headers, claimed.target.headers)
    if claimed.target.rendered is not None and claimed.target.rendered.headers:
        headers = _beside(headers, claimed.target.rendered.headers)  # last: the webhook's own, and ours, count more
    return OutboundRequest(
        url=claimed.target.url,
        headers=headers,
        body=claimed.body,
        connect_timeout=float(limits.connect_timeout_seconds),
        total_timeout=float(limits.request_timeout_seconds),
        max_response_body=limits.response_body_bytes,
    )


def _beside(headers: dict[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return headers with further ones, of which those stay away that are there already."""
    known = {name.lower() for name in headers}
    return {name: value for name, value in more.items() if name.lower() not in known} | headers


def shown_headers(claimed: Claimed, request: OutboundRequest) -> dict[str, str]:
    """Return the sent headers as the log shows them: custom ones and the signature by name only."""
    return redact.headers(request.headers, secret_names=claimed.target.headers)


def without_answer(result: Result) -> Result:
    """Return a result whose answer could not be stored, as an error of the portal that is tried again; it is not followed up."""
    error = "The answer could not be stored; the portal's log says why."
    verdict = replace(result.verdict, error_class=ErrorClass.INTERNAL, error=error)
    return replace(result, answer=no_answer(), verdict=verdict, request_headers={}, packed=b"", follow_up=None)


def _unsendable(claimed: Claimed, error_class: ErrorClass, sentence: str, random: Callable[[], float]) -> Result:
    answer = replace(no_answer(), error_class=error_class.value, error=sentence)
    verdict = judge(answer, step=claimed.row.step + 1, schedule=claimed.target.schedule, random=random)
    # our own fault says nothing about the endpoint
    return Result(claimed, answer, replace(verdict, unhealthy=False), timezone.now(), {})


def no_answer() -> Answer:
    """Return the answer of an attempt that got none."""
    return Answer(
        status=None, headers={}, body=b"", truncated=False, error_class="", error="", retry_after=None, address="",
        timings=Timings(None, None, None, None, None), started_at=timezone.now(),
    )  # fmt: skip


def facts(claimed: Claimed, answer: Answer, verdict: Verdict) -> dict[str, object]:
    """Return what the log says of an attempt."""
    return {
        "delivery": str(claimed.delivery_id),
        "webhook": str(claimed.target.webhook_id),
        "event_id": str(claimed.row.event_id),
        "event_type": claimed.row.event_type,
        "attempt": claimed.row.attempts + 1,
        "status": answer.status,
        "outcome": verdict.outcome.value,
        "error_class": verdict.error_class.value,
        "request_id": claimed.row.request_id,
    }
