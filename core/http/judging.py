"""What an answer means for its call: pure, so that every case can be looked at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from core import redact
from core.http.exchange import Answered, Failure
from core.http.waits import asked_wait
from core.models.outbound import CallOutcome

KEPT_FOR_CALLER = 8192
_PASSING = frozenset({408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})


class Verdict(StrEnum):
    """What becomes of a try."""

    GOOD = "good"
    NOT_MODIFIED = "not_modified"
    REFUSED = "refused"
    FAILED = "failed"
    SIGN_IN = "sign_in"
    THROTTLED = "throttled"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True)
class Judgement:
    """How a try ended. `passing` means that another try may succeed; `wait` is what the service asked for, in seconds.

    `against_service` counts for the breaker: True is a failure, False a success, None says nothing. `code` is the error's own.
    """

    verdict: Verdict
    outcome: CallOutcome
    against_service: bool | None = False
    passing: bool = False
    wait: float | None = None
    error_class: str = ""
    sentence: str = ""
    code: str = ""


def judge(
    answered: Answered, expected: Collection[int], name: str, *, has_kept: bool, has_credentials: bool, unnamed_wait: float | None = None
) -> Judgement:
    """Judge how an exchange ended; `has_kept` says that 304 was asked for, `has_credentials` that any were sent.

    `unnamed_wait` is what a 429 means that doesn't say for how long.
    """
    if answered.failure is not Failure.NONE:
        return _failed(answered)
    status = answered.status or 0
    if status == 304 and has_kept:
        return Judgement(Verdict.NOT_MODIFIED, CallOutcome.NOT_MODIFIED)
    if status in expected:
        return Judgement(Verdict.GOOD, CallOutcome.SUCCESS)
    if status == 401:
        sentence = f"{name} refused the credentials (401). Check that they are right and not expired, and rotate them if need be."
        if not has_credentials:
            sentence = f"{name} asks for credentials (401), but its sign-in is “No credentials”: choose one."
        return Judgement(Verdict.SIGN_IN, CallOutcome.UNEXPECTED, error_class="sign_in_failed", sentence=sentence)
    wait = asked_wait(status, answered.headers)
    if status == 429 and wait is None:
        wait = unnamed_wait
    if status == 429 or wait is not None:
        until = "without saying for how long" if wait is None else f"for {wait:.0f} s"
        sentence = f"{name} answered {status} and asks not to be called {until}."
        return Judgement(
            Verdict.THROTTLED,
            CallOutcome.UNEXPECTED,
            against_service=status >= 500,
            passing=True,
            wait=wait,
            error_class="throttled",
            sentence=sentence,
        )
    return _unexpected(status, answered, name)


def _failed(answered: Answered) -> Judgement:
    failure = answered.failure
    if failure is Failure.ADDRESS_REFUSED:
        return Judgement(Verdict.REFUSED, CallOutcome.REFUSED, None, error_class=failure.value, sentence=answered.sentence)
    if failure is Failure.ANSWER_TOO_LARGE:
        return Judgement(Verdict.UNEXPECTED, CallOutcome.FAILED, error_class=failure.value, sentence=answered.sentence, code=failure.value)
    ours = failure in (Failure.INTERNAL, Failure.INVALID_URL)
    return Judgement(
        Verdict.FAILED,
        CallOutcome.FAILED,
        None if ours else True,
        passing=not ours,
        error_class=failure.value,
        sentence=answered.sentence,
    )


def _unexpected(status: int, answered: Answered, name: str) -> Judgement:
    if 300 <= status < 400:
        to = redact.url(answered.headers.get("Location", ""))[:300]
        sentence = f"{name} answered {status}{' and points to ' + to if to else ''}. Redirects are not followed: call the final address."
        return Judgement(Verdict.UNEXPECTED, CallOutcome.UNEXPECTED, error_class="redirect", sentence=sentence, code="redirect")
    if status >= 500:
        sentence = f"{name} answered {status}: it has a problem of its own. Look at its status page or log."
        return Judgement(
            Verdict.UNEXPECTED, CallOutcome.UNEXPECTED, True, passing=status in _PASSING, error_class="server_error", sentence=sentence
        )
    hint = {
        403: " The credentials may not do this: give them the right, or use others.",
        404: " Check the address; some services also say this where the credentials lack the right to see it.",
        400: " It does not accept the request as it was sent.",
        422: " It does not accept the request as it was sent.",
    }.get(status, "")
    sentence = f"{name} answered {status}, which was not expected.{hint}"
    error_class = "client_error" if status >= 400 else "unexpected_status"
    return Judgement(Verdict.UNEXPECTED, CallOutcome.UNEXPECTED, passing=status in _PASSING, error_class=error_class, sentence=sentence)
