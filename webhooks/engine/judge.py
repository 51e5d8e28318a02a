"""What an answer means: the status rules of Standard Webhooks 1.0.0, as a pure function.

2xx succeeds. 410 disables the webhook. 408, 425, 429, 5xx, redirects (never followed) and failed connections are retried on
the webhook's schedule. Retry-After of 429 and 503 holds the webhook, a day at most; without it 429 holds it until the retry, a
minute at most, and 503 does not. 502 and 504 hold it for five seconds. Any other 4xx is final, and so is an address that the
guard refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from core.http.sender import Answer
from webhooks.choices import ErrorClass, HoldReason, Outcome
from webhooks.engine.types import Verdict
from webhooks.retry import delay_after

LONGEST_RETRY_AFTER = 24 * 3600.0
LONGEST_THROTTLE = 60.0
THROTTLE_ON_BAD_GATEWAY = 5.0
_FINAL_ERRORS = {ErrorClass.ADDRESS_REFUSED, ErrorClass.INVALID_URL, ErrorClass.UNSUITABLE}
RETRIED_CLIENT_ERRORS = {408, 425, 429}
_THROTTLING = {429, 502, 503, 504}

_SUCCESS = Verdict(Outcome.SUCCESS)

_ADVICE = {
    400: "It could not read the request: compare its expectations with the sent body.",
    401: "It wants credentials: add them as a custom header of the webhook.",
    403: "It refused: check its access rules, its firewall, and whether it verifies the right secret.",
    404: "There is nothing at this path: check the URL.",
    405: "It does not take POST at this path: check the URL.",
    408: "It gave up waiting for the request.",
    413: "The body is too large for it: raise its limit or narrow the webhook's filter.",
    415: "It does not take application/json: check the URL.",
    422: "It understood the body but refused its content.",
    425: "It asked to be tried later.",
    429: "It is receiving too much: set a rate limit on the webhook.",
    500: "It failed while handling the request: read its log.",
    502: "A proxy could not reach the application behind it: is that running?",
    503: "It is overloaded or down for maintenance.",
    504: "A proxy waited too long for the application: answer first, work afterwards.",
}


def judge(answer: Answer, *, step: int, schedule: tuple[float, ...], random: Callable[[], float]) -> Verdict:
    """Return the verdict on the answer to an attempt.

    `step` counts the attempts of this cycle, this one included; `schedule` holds the delays after each; `random` returns a
    number in [0, 1) for the jitter.
    """
    status = answer.status
    if not answer.error_class and status is not None and 200 <= status < 300:
        return _SUCCESS
    error_class, error = _describe(answer)
    if status == 410 and not answer.error_class:
        return Verdict(Outcome.FAILED, error_class, error, gone=True)
    if error_class in _FINAL_ERRORS or error_class is ErrorClass.CLIENT_ERROR:
        return Verdict(Outcome.FAILED, error_class, error)
    hold, reason = _hold(answer)
    delay = delay_after(step, schedule, random)
    if hold is None and reason is HoldReason.THROTTLED:
        hold = min(delay or LONGEST_THROTTLE, LONGEST_THROTTLE)
    # a throttled or busy endpoint is alive, and a fault of the portal's own says nothing about it
    unhealthy = status != 429 and error_class is not ErrorClass.INTERNAL
    if delay is None:
        return Verdict(Outcome.FAILED, error_class, error, hold=hold, hold_reason=reason, exhausted=True, unhealthy=unhealthy)
    if reason is HoldReason.RETRY_AFTER and hold is not None:
        delay = max(delay, hold)
    return Verdict(Outcome.RETRY, error_class, error, delay=delay, hold=hold, hold_reason=reason, unhealthy=unhealthy)


def _describe(answer: Answer) -> tuple[ErrorClass, str]:
    if answer.error_class:
        return ErrorClass(answer.error_class), answer.error
    status = answer.status or 0
    if not 200 <= status < 600:
        return ErrorClass.PROTOCOL, f"The endpoint answered with status {status}, which is no final HTTP status. Is that a web server?"
    try:
        name = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        name = str(status)
    if 300 <= status < 400:
        return ErrorClass.REDIRECT, f"The endpoint answered {name}. Redirects are never followed: set the URL to the final address."
    if status == 410:
        return ErrorClass.GONE, "The endpoint answered 410 Gone, which means: send nothing more. The webhook was disabled."
    if status == 429:
        return ErrorClass.RATE_LIMITED, f"The endpoint answered {name}. {_ADVICE[429]}"
    if 400 <= status < 500:
        error_class = ErrorClass.SERVER_ERROR if status in RETRIED_CLIENT_ERRORS else ErrorClass.CLIENT_ERROR
        return error_class, f"The endpoint answered {name}. {_ADVICE.get(status, 'It refused this delivery.')}"
    return ErrorClass.SERVER_ERROR, f"The endpoint answered {name}. {_ADVICE.get(status, 'Read its log.')}"


def _hold(answer: Answer) -> tuple[float | None, HoldReason]:
    if answer.status not in _THROTTLING:
        return None, HoldReason.NONE
    if answer.status in {429, 503} and answer.retry_after is not None:
        return min(max(answer.retry_after, 0.0), LONGEST_RETRY_AFTER), HoldReason.RETRY_AFTER
    if answer.status in {502, 504}:
        return THROTTLE_ON_BAD_GATEWAY, HoldReason.THROTTLED
    return None, HoldReason.THROTTLED if answer.status == 429 else HoldReason.NONE
