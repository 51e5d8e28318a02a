"""What a destination's outcome or error means for its delivery, as pure functions. docs/destinations.md shows them as a table.

The rules for plain answers are in judge.py; here are those for what connectors say: their own outcomes, and the typed errors
of the door.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from core.errors import AddressRefused, InvalidInput, RepoGuardError, Unavailable
from core.fields import DecryptError
from core.http.door import BadAnswer, CallFailed, CircuitOpen, QuotaUsedUp, SignInFailed, Throttled
from integrations.contract.outbound import Outcome as Told
from webhooks.choices import ErrorClass, HoldReason, Outcome
from webhooks.engine.judge import LONGEST_RETRY_AFTER, RETRIED_CLIENT_ERRORS
from webhooks.engine.types import Verdict
from webhooks.retry import delay_after

DEFAULT_WAIT = 60.0
"""Seconds that a limit or an overloaded service is waited for where nothing says how long."""


class Retry(NamedTuple):
    """Where a delivery stands in its schedule; see judge()."""

    step: int
    schedule: tuple[float, ...]
    random: Callable[[], float]


def of_outcome(told: Told, status: int | None, retry: Retry) -> Verdict:
    """Return what a connector's outcome means; `status` is the answer's, where there is one."""
    if told.ok:
        return Verdict(Outcome.SUCCESS, confirmed=told.confirmed)
    sentence = told.error or "The destination said no, and not why."
    if told.gone:
        return Verdict(Outcome.FAILED, ErrorClass.GONE, sentence, gone=True)
    if told.permanent:
        return Verdict(Outcome.FAILED, ErrorClass.REFUSED, sentence)
    if told.retry_after is not None or status == 429:
        wait = DEFAULT_WAIT if told.retry_after is None else told.retry_after
        return _again(ErrorClass.RATE_LIMITED, sentence, retry, hold=wait, reason=HoldReason.RETRY_AFTER)
    error_class = ErrorClass.SERVER_ERROR if status is not None and status >= 500 else ErrorClass.REFUSED
    return _again(error_class, sentence, retry, unhealthy=status is None or status >= 500)


def of_nothing(reason: str) -> Verdict:
    """Return the verdict on an event that its destination need not hear of: a success, whose reason the log shows."""
    return Verdict(Outcome.SUCCESS, error=f"Nothing was sent: {reason}", told=False)


def of_error(error: Exception, retry: Retry) -> Verdict:
    """Return what an error of a connector means; anything but RepoGuardError is a fault of the portal's own."""
    if isinstance(error, DecryptError):
        return of_fault(ErrorClass.UNREADABLE_SECRET, str(error), retry)
    if not isinstance(error, RepoGuardError):
        return of_fault(ErrorClass.INTERNAL, "The connector failed by itself; the portal's log says why.", retry)
    sentence = error.message
    if isinstance(error, CircuitOpen | QuotaUsedUp):
        error_class = ErrorClass.CIRCUIT_OPEN if isinstance(error, CircuitOpen) else ErrorClass.QUOTA_USED_UP
        return _again(error_class, sentence, retry, hold=_wait(error), reason=HoldReason.INTEGRATION)
    if isinstance(error, SignInFailed) and not error.permanent and error.retry_after is not None:
        # until then nobody is asked, so that each try would be spent for nothing
        return _again(ErrorClass.SIGN_IN, sentence, retry, hold=error.retry_after, reason=HoldReason.INTEGRATION)
    if isinstance(error, Throttled):
        return _again(ErrorClass.RATE_LIMITED, sentence, retry, hold=_wait(error), reason=HoldReason.RETRY_AFTER)
    if isinstance(error, BadAnswer):
        return _of_bad_answer(error, retry)
    if _class_of(error) is ErrorClass.INTERNAL or isinstance(error, Unavailable):
        return of_fault(ErrorClass.INTERNAL, sentence, retry)
    if isinstance(error, CallFailed) and not error.permanent:
        return _again(_class_of(error), sentence, retry, unhealthy=True)
    if error.permanent:
        return Verdict(Outcome.FAILED, _class_of(error), sentence)
    return _again(_class_of(error), sentence, retry, unhealthy=True)


def of_fault(error_class: ErrorClass, sentence: str, retry: Retry) -> Verdict:
    """Return the verdict on a fault of the portal's own: tried again by the webhook's schedule, and nothing speaks against the service."""
    return _again(error_class, sentence, retry)


def unusable(sentence: str, retry: Retry) -> Verdict:
    """Return the verdict on a delivery whose integration can't be used now: the webhook is held, and tries again."""
    return _again(ErrorClass.INTEGRATION, sentence, retry, hold=DEFAULT_WAIT, reason=HoldReason.INTEGRATION, unhealthy=True)


def _of_bad_answer(error: BadAnswer, retry: Retry) -> Verdict:
    status = error.status_code
    refused = status is not None and 400 <= status < 500 and status not in RETRIED_CLIENT_ERRORS
    if error.permanent or refused:
        return Verdict(Outcome.FAILED, ErrorClass.CLIENT_ERROR if refused else ErrorClass.BAD_ANSWER, error.message)
    if status == 429:
        return _again(ErrorClass.RATE_LIMITED, error.message, retry, hold=_wait(error), reason=HoldReason.RETRY_AFTER)
    down = status is not None and status >= 500
    error_class = ErrorClass.SERVER_ERROR if down else ErrorClass.BAD_ANSWER
    return _again(error_class, error.message, retry, unhealthy=True)


def _class_of(error: RepoGuardError) -> ErrorClass:
    if isinstance(error, SignInFailed):
        return ErrorClass.SIGN_IN
    if isinstance(error, AddressRefused):
        return ErrorClass.ADDRESS_REFUSED
    if isinstance(error, InvalidInput):
        return ErrorClass.UNSUITABLE
    if error.code in ErrorClass.values:  # the door's codes are those of the delivery client
        return ErrorClass(error.code)
    return ErrorClass.CONNECT if isinstance(error, CallFailed) else ErrorClass.BAD_ANSWER


def _wait(error: RepoGuardError) -> float:
    return DEFAULT_WAIT if error.retry_after is None else error.retry_after


def _again(
    error_class: ErrorClass,
    sentence: str,
    retry: Retry,
    *,
    hold: float | None = None,
    reason: HoldReason = HoldReason.NONE,
    unhealthy: bool = False,
) -> Verdict:
    """Return the verdict of a failure that is tried again while the schedule lasts."""
    held = None if hold is None else min(max(hold, 0.0), LONGEST_RETRY_AFTER)
    delay = delay_after(*retry)
    facts = {"hold": held, "hold_reason": reason if held is not None else HoldReason.NONE, "unhealthy": unhealthy}
    if delay is None:
        return Verdict(Outcome.FAILED, error_class, sentence, exhausted=True, **facts)  # type: ignore[arg-type]
    return Verdict(Outcome.RETRY, error_class, sentence, delay=max(delay, held or 0.0), **facts)  # type: ignore[arg-type]
