"""An attempt through an integration's destination: one request on the event loop, or calls in a thread. No database on the loop."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from django.utils import timezone

from core import redact
from core.errors import InvalidInput, RepoGuardError
from core.fields import DecryptError
from core.http.door import BadAnswer
from core.http.masking import Mask
from core.http.sender import Answer, OutboundRequest, Sender
from core.logs import fault_place
from core.models.outbound import CallPurpose
from core.runtime import Runtime
from core.texts import storable
from integrations.calls import build_connector
from integrations.contract.outbound import (
    CallDestination,
    DestinationAnswer,
    DestinationRequest,
    FollowUpStart,
    HttpDestination,
    NothingToTell,
)
from integrations.contract.outbound import Outcome as Told
from webhooks.choices import ErrorClass, Outcome
from webhooks.destinations import deadline, follow
from webhooks.destinations.event import about
from webhooks.destinations.memory import RowMemory
from webhooks.engine.calls import Abandoned, CallPool
from webhooks.engine.judge import judge
from webhooks.engine.outcomes import Retry, of_error, of_fault, of_nothing, of_outcome, unusable
from webhooks.engine.request import build, facts, no_answer
from webhooks.engine.templating import event_of, templated_request
from webhooks.engine.types import Claimed, Result, Verdict

logger = logging.getLogger(__name__)
JUDGED_BYTES = 65_536
_METHOD = re.compile(r"[A-Z]{3,10}")
_FORBIDDEN_METHODS = frozenset({"CONNECT", "TRACE"})
_OURS = ("content-type", "user-agent")


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of an attempt, before it is judged as to retries."""

    answer: Answer
    verdict: Verdict
    headers: Mapping[str, str]
    url: str
    follow_up: FollowUpStart | None = None


async def attempt_destination(sender: Sender, pool: CallPool, claimed: Claimed, limits: Runtime, random: Callable[[], float]) -> Result:
    """Deliver once through the destination; never raises, so that every lease ends with an outcome."""
    retry = Retry(claimed.row.step + 1, claimed.target.schedule, random)
    begin = time.monotonic()
    answer = no_answer()
    try:
        sent = await _attempt(sender, pool, claimed, limits, retry)
    except Abandoned:
        took = f"It did not come back within {pool.seconds:.0f} s; what it did until then is not known, and it is tried again."
        answer.error_class, answer.error = ErrorClass.TIMEOUT.value, took
        sent = Sent(answer, judge(answer, **retry._asdict()), {}, _where(claimed))
    except NothingToTell as nothing:
        sent = Sent(answer, of_nothing(nothing.reason), {}, _where(claimed))
    except Exception as error:  # an error of a connector must end the attempt, be seen in the delivery's log, and be tried again
        sent = Sent(answer, of_error(error, retry), {}, _where(claimed))
        _describe(error, answer, claimed)
    if sent.answer.timings.total_ms is None:
        sent.answer.timings.total_ms = (time.monotonic() - begin) * 1000
    return _result(claimed, sent, limits)


async def _attempt(sender: Sender, pool: CallPool, claimed: Claimed, limits: Runtime, retry: Retry) -> Sent:
    bound, problem = claimed.target.bound, claimed.target.problem
    if bound is None or problem:
        return Sent(no_answer(), of_fault(ErrorClass.UNREADABLE_SECRET, problem, retry), {}, _where(claimed))
    if bound.fault:
        return Sent(no_answer(), of_fault(bound.fault, bound.problem, retry), {}, _where(claimed))
    if bound.problem:
        return Sent(no_answer(), unusable(bound.problem, retry), {}, _where(claimed))
    if claimed.target.template_id is not None and not bound.connector_takes_templates:
        raise InvalidInput.of("payload_template", f"{bound.name} takes no payload template as it is set up now: give the webhook none.")
    if bound.calls:
        return _told(await pool.run(partial(_call, claimed, pool.seconds)), claimed, retry)
    if isinstance(bound.connector, HttpDestination):
        return await _request(sender, bound.connector, claimed, limits, retry)
    raise TypeError(f"{bound.title} says how it delivers, but not how.")


# --- one request ------------------------------------------------------------------------------------------------------


async def _request(sender: Sender, connector: HttpDestination, claimed: Claimed, limits: Runtime, retry: Retry) -> Sent:
    bound = claimed.target.bound
    wanted = connector.build(event_of(claimed), bound.options if bound else {})
    if claimed.target.template_id is not None:
        wanted = await templated_request(claimed, connector, wanted)
    request = _outbound(claimed, wanted, limits, signed=connector.signed)
    answer = await sender.send(request)
    shown = _mask(claimed).url(request.url, follow.MAX_URL)
    verdict, follow_up = judge(answer, **retry._asdict()), None
    if answer.status is not None and not answer.error_class:
        told = connector.judge(DestinationAnswer(answer.status, answer.headers, answer.body))
        if told is not None:
            verdict = of_outcome(told, told.status or answer.status, retry)
            follow_up = follow.checked(told.follow_up) if told.ok else None
    return Sent(answer, verdict, _shown_headers(claimed, wanted, request), shown, follow_up)


def _outbound(claimed: Claimed, wanted: DestinationRequest, limits: Runtime, *, signed: bool) -> OutboundRequest:
    if not _METHOD.fullmatch(wanted.method) or wanted.method in _FORBIDDEN_METHODS:
        raise InvalidInput.of("method", f"{wanted.method[:20]!r} is no method that a destination may use.")
    headers = dict(wanted.headers)
    if signed:
        own = {name.lower() for name in headers}
        standard = build(replace(claimed, body=wanted.body), limits).headers
        headers |= {name: value for name, value in standard.items() if name.lower() not in own or name.lower() not in _OURS}
        headers = _without_doubles(headers)
    return OutboundRequest(
        url=wanted.url,
        headers=headers,
        body=wanted.body,
        connect_timeout=float(limits.connect_timeout_seconds),
        total_timeout=float(limits.request_timeout_seconds),
        max_response_body=max(limits.response_body_bytes, JUDGED_BYTES),
        method=wanted.method,
    )


def _without_doubles(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers, of names that differ in capitals only the last one."""
    last = {name.lower(): name for name in headers}
    return {name: headers[name] for name in last.values()}


def _shown_headers(claimed: Claimed, wanted: DestinationRequest, request: OutboundRequest) -> dict[str, str]:
    """Return the sent headers as the log shows them: without what holds a credential, whatever its name."""
    mask = _mask(claimed)
    holding = {name for name, value in wanted.headers.items() if mask.known(value) != value}
    return redact.headers(request.headers, secret_names={*claimed.target.headers, *holding})


# --- calls in a thread ------------------------------------------------------------------------------------------------


def _call(claimed: Claimed, seconds: float) -> Told:
    """Runs in a thread of the pool: the connector is this call's own, and so is its door."""
    bound = claimed.target.bound
    if bound is None or bound.integration is None:
        raise TypeError("There is no integration to call.")
    connector = deadline.limited(build_connector(bound.integration, CallPurpose.DESTINATION), seconds)
    if not isinstance(connector, CallDestination):
        raise TypeError(f"{bound.title} says that it makes calls, but has none.")
    event = event_of(claimed)
    told = connector.send(replace(event, about=about(event.id)), bound.options, RowMemory(claimed.target.webhook_id))
    return replace(told, follow_up=follow.checked(told.follow_up) if told.ok else None)


def _told(told: Told, claimed: Claimed, retry: Retry) -> Sent:
    answer = no_answer()
    answer.status = told.status if told.status is not None and 100 <= told.status <= 999 else None
    if told.details:
        answer.body = json.dumps(dict(told.details), default=str).encode()
        answer.headers = {"Content-Type": "application/json"}
    return Sent(answer, of_outcome(told, told.status, retry), {}, _where(claimed), told.follow_up)


# --- what is logged ---------------------------------------------------------------------------------------------------


def _result(claimed: Claimed, sent: Sent, limits: Runtime) -> Result:
    mask = _mask(claimed)
    answer, verdict = sent.answer, sent.verdict
    answer.headers = {storable(name): mask.known(storable(value)) for name, value in answer.headers.items()}
    answer.body = mask.known(answer.body.decode("utf-8", "replace")).encode("utf-8", "replace")
    answer.truncated = answer.truncated or len(answer.body) > limits.response_body_bytes
    answer.body = answer.body[: limits.response_body_bytes]
    verdict = replace(verdict, error=storable(mask.known(verdict.error)))
    if verdict.outcome is not Outcome.SUCCESS:
        logger.info("delivery_attempt_failed", extra=facts(claimed, answer, verdict))
    headers = {storable(name): storable(value) for name, value in sent.headers.items()}
    return Result(claimed, answer, verdict, timezone.now(), headers, url=storable(sent.url), follow_up=sent.follow_up)


def _describe(error: Exception, answer: Answer, claimed: Claimed) -> None:
    """Note in the answer what an error says of one."""
    if isinstance(error, BadAnswer):
        answer.status = error.status_code
        answer.body = error.body
    elif not isinstance(error, RepoGuardError | DecryptError):
        _log_fault(claimed, error)


def _log_fault(claimed: Claimed, error: Exception) -> None:
    """Log where a connector failed; the text of the error may hold what was sent."""
    logger.error(
        "destination_fault", extra={"delivery": str(claimed.delivery_id), "fault": type(error).__name__, "place": fault_place(error)}
    )


def _where(claimed: Claimed) -> str:
    """Return what is shown in place of the URL where several calls are made, or none."""
    bound = claimed.target.bound
    return f"{bound.title}: {bound.name}" if bound and bound.title else bound.name if bound else ""


def _mask(claimed: Claimed) -> Mask:
    return claimed.target.bound.mask if claimed.target.bound else Mask(())
