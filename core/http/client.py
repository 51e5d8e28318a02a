"""The door: every outbound call of a connector goes through it.

A call is checked, signed, admitted (pause, breaker, rate, quota), sent past the guard, judged, perhaps repeated, and logged; one row
of the log for each try. docs/outbound.md says what happens in each situation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from time import sleep
from typing import Any, NoReturn

from django.db import connection
from requests.structures import CaseInsensitiveDict  # noqa: TID251 - headers are found in any case

from core.errors import AddressRefused, InvalidInput, OutboundError, RepoGuardError
from core.http import answers, breaker, limits, pauses, prepare
from core.http.answers import Kept
from core.http.breaker import Pass
from core.http.calllog import CallLog, Entry, beginning
from core.http.door import (
    Auth,
    BadAnswer,
    CallFailed,
    CircuitOpen,
    NoAuth,
    Outgoing,
    QuotaUsedUp,
    Reply,
    SignInFailed,
    Terms,
    Throttled,
)
from core.http.exchange import Answered, Failure, Limits, exchange
from core.http.judging import KEPT_FOR_CALLER, Judgement, Verdict, judge
from core.http.masking import Mask
from core.http.prepare import Params
from core.http.waits import UNNAMED_WAIT_SECONDS, backoff
from core.models.outbound import CallOutcome

EXPECTED = range(200, 300)
# so that the other side's clock, or a rounded header, is not asked a moment too early
_GRACE_SECONDS = 0.05


class CallInTransaction(RuntimeError):
    """A mistake in the caller: its transaction would hold locks and a connection for as long as the other system takes."""


@dataclass
class _Call:
    """One call on its way."""

    request: Outgoing
    url: str = field(repr=False)
    expected: Collection[int]
    cache_seconds: int
    tries: int
    repeatable: bool
    budget: float
    """Seconds that may still be slept."""
    unnamed_wait: float | None = None
    key: str = ""
    kept: Kept | None = None
    attempt: int = 0
    repeated: int = 0
    signed_anew: bool = False
    signed: Outgoing = field(default_factory=lambda: Outgoing("", ""))
    signed_url: str = field(default="", repr=False)

    def wait(self, seconds: float) -> bool:
        """Sleep, if so long a wait is slept through; says whether."""
        if seconds > self.budget:
            return False
        self.budget -= seconds
        sleep(seconds + _GRACE_SECONDS)
        return True

    def may_repeat(self) -> bool:
        """Say whether a failed try is followed by another."""
        return self.repeatable and self.repeated + 1 < self.tries


class Door:
    """Calls one integration's system on its terms. Cheap to make; used by one thread at a time."""

    def __init__(self, terms: Terms, auth: Auth | None = None) -> None:
        self.terms = terms
        self.auth = auth or NoAuth()

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Params = (),
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        body: bytes | None = None,
        expected: Collection[int] = EXPECTED,
        cache_seconds: int = 0,
        refresh: bool = False,
        repeatable: bool | None = None,
        unnamed_wait: float | None = None,
    ) -> Reply:
        """Make a call and return its answer, whose status is among `expected`.

        `cache_seconds` lets an answer not older than that be used without asking (GET only); with `refresh` it is asked for, and
        kept as long. `repeatable` says that sending the request twice does no harm; without it the method decides. `unnamed_wait`:
        seconds that a 429 means that names none. Redirects are never followed.

        Raises InvalidInput for what can't be sent, AddressRefused, CircuitOpen, QuotaUsedUp, Throttled, CallFailed, BadAnswer and
        SignInFailed; those with `retry_after` are worth trying again then. CallInTransaction inside a transaction.
        """
        refuse_in_transaction()
        log = CallLog(self.terms, Mask(self.auth.secrets()))
        request = Outgoing(method.upper(), url)
        try:
            request = prepare.outgoing(method, url, params, headers, json, body)
            full_url = prepare.target_url(request.url, request.params)
        except (InvalidInput, AddressRefused) as error:
            log.refused(request, url, error)
            raise
        repeats = request.method in prepare.REPEATABLE if repeatable is None else repeatable
        tries, longest = max(1, self.terms.attempts), self.terms.longest_wait
        call = _Call(request, full_url, expected, cache_seconds, tries, repeats, longest, unnamed_wait)
        call.key = answers.key_of(self.terms, request, full_url, self.auth.fingerprint())
        call.kept = answers.find(call.key)
        if call.kept is not None and call.kept.status not in expected:
            call.kept = None
        if call.kept is not None and cache_seconds and call.kept.is_fresh and not refresh:
            log.write(request, full_url, Entry(CallOutcome.CACHED))
            return call.kept.reply(call.url)
        try:
            return self._ask(call, log)
        except (CircuitOpen, QuotaUsedUp, Throttled, CallFailed, BadAnswer) as error:
            kept = self._stand_in(call, error)
            if kept is None:
                raise
            entry = Entry(CallOutcome.STALE, max(1, call.attempt), None, error.code, error.message, error.retry_after)
            log.write(request, full_url, entry)
        return kept.reply(call.url, stale=True)

    def _ask(self, call: _Call, log: CallLog) -> Reply:
        """Try until there is an answer, or no further try is allowed."""
        while True:
            call.attempt += 1
            self._sign(call, log)
            leave = self._admit(call, log)
            try:
                answered = self._send(call)
            except OutboundError as error:
                breaker.neither(self.terms, leave)
                self._refuse(call, log, error)
            except BaseException:  # the process is told to stop in the middle: the probe's place must not stay taken
                breaker.neither(self.terms, leave)
                raise
            sent = {"has_kept": call.kept is not None, "has_credentials": bool(self.auth.secrets())}
            judgement = judge(answered, call.expected, self.terms.name, **sent, unnamed_wait=call.unnamed_wait)
            self._tell_breaker(leave, judgement)
            log.write(call.signed, call.signed_url, _entry(call, judgement, answered))
            if judgement.wait:
                pauses.pause(self.terms.integration_id, judgement.wait)
            if judgement.verdict is Verdict.GOOD:
                answers.keep(call.key, self.terms, answered.status or 0, answered.headers, answered.body, call.cache_seconds)
                return Reply(answered.status or 0, answered.headers, answered.body, call.url)
            if judgement.verdict is Verdict.NOT_MODIFIED and call.kept is not None:
                answers.confirm(call.kept, self.terms, call.cache_seconds)
                return call.kept.confirmed_reply(answered.headers, call.url)
            if not self._again(call, judgement):
                raise _error(judgement, answered, log.mask)

    def _sign(self, call: _Call, log: CallLog) -> None:
        """Make the request of this try: conditions, defaults, credentials."""
        signed = replace(call.request, headers=dict(call.request.headers), params=list(call.request.params))
        names = {name.lower() for name in signed.headers}
        defaults = {"User-Agent": self.terms.user_agent, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
        signed.headers |= {name: value for name, value in defaults.items() if name.lower() not in names}
        if call.kept is not None:
            signed.headers |= call.kept.conditions()
        call.signed, call.signed_url = signed, call.url
        try:
            if not isinstance(self.auth, NoAuth):
                breaker.peek(self.terms)  # no token is fetched for a call that is refused anyway
                self.auth.apply(signed)
                signed.method, signed.url = call.request.method, call.request.url  # where to is the caller's
                prepare.check(signed)
                signed.headers["Accept-Encoding"] = defaults["Accept-Encoding"]
                call.signed_url = prepare.target_url(call.request.url, signed.params)
        except (OutboundError, InvalidInput) as error:
            log.mask = Mask(self.auth.secrets())
            self._refuse(call, log, error)
        log.mask = Mask(self.auth.secrets())  # a token may have been fetched

    def _admit(self, call: _Call, log: CallLog) -> Pass:
        """Take the call's share of all limits; short waits are slept through."""
        while True:
            try:
                return self.take()
            except CircuitOpen as error:
                self._refuse(call, log, error)
            except (Throttled, QuotaUsedUp) as error:
                if not call.wait(error.retry_after or 0.0):
                    self._refuse(call, log, error)

    def take(self) -> Pass:
        """Take a call's share of all limits. Raises CircuitOpen, Throttled, QuotaUsedUp."""
        if wait := pauses.remaining(self.terms.integration_id):
            raise Throttled(f"{self.terms.name} asked not to be called for another {wait:.0f} s.", retry_after=wait)
        leave = breaker.enter(self.terms)
        try:
            limits.take(self.terms)
        except BaseException:
            breaker.neither(self.terms, leave)
            raise
        return leave

    def leaving(self) -> Terms:
        """Return the terms for a request that leaves now, all waits behind it. Raises OutboundError where it is too late for it."""
        return self.terms

    def _send(self, call: _Call) -> Answered:
        terms, signed = self.leaving(), call.signed
        size = Limits(terms.connect_timeout, terms.timeout, terms.max_body)
        return exchange(signed.method, call.signed_url, signed.headers, signed.body, size, repeatable=call.repeatable)

    def _tell_breaker(self, leave: Pass, judgement: Judgement) -> None:
        if judgement.against_service is None:
            breaker.neither(self.terms, leave)
        elif judgement.against_service:
            breaker.failure(self.terms, leave, judgement.sentence)
        else:
            breaker.success(self.terms, leave)

    def _again(self, call: _Call, judgement: Judgement) -> bool:
        """Say whether to try once more; waits before."""
        if judgement.verdict is Verdict.SIGN_IN:
            if call.signed_anew or not self.auth.refused():
                return False
            call.signed_anew = True
            return True
        if not judgement.passing or not call.may_repeat():
            return False
        call.repeated += 1
        if judgement.wait is not None:
            return call.wait(judgement.wait)
        return call.wait(min(backoff(call.repeated), call.budget))

    def _refuse(self, call: _Call, log: CallLog, error: RepoGuardError) -> NoReturn:
        """Log that the call is not sent, and raise the reason; where an older answer stands in, its row says it all."""
        if self._stand_in(call, error) is None:
            log.refused(call.signed, call.signed_url, error, call.attempt)
        raise error

    def _stand_in(self, call: _Call, error: RepoGuardError) -> Kept | None:
        """Return the older answer that may stand in for the one that could not be had."""
        if isinstance(error, BadAnswer) and (error.status_code is None or error.status_code < 500):
            return None
        if not isinstance(error, CircuitOpen | QuotaUsedUp | Throttled | CallFailed | BadAnswer):
            return None
        usable = call.kept is not None and call.kept.age <= self.terms.stale_seconds
        return call.kept if usable else None


def _entry(call: _Call, judgement: Judgement, answered: Answered) -> Entry:
    return Entry(
        judgement.outcome,
        call.attempt,
        answered,
        judgement.error_class,
        judgement.sentence,
        judgement.wait,
        keep_body=judgement.outcome == CallOutcome.UNEXPECTED,
    )


def _error(judgement: Judgement, answered: Answered, mask: Mask) -> OutboundError:
    """Return the typed error of a judgement; nothing in it is secret."""
    sentence = mask.text(judgement.sentence, 1000)
    if judgement.verdict is Verdict.REFUSED:
        return AddressRefused(sentence)
    if judgement.verdict is Verdict.FAILED:
        error = CallFailed(sentence, code=judgement.error_class)
        error.permanent = answered.failure is Failure.INVALID_URL
        return error
    if judgement.verdict is Verdict.SIGN_IN:
        return SignInFailed(sentence)
    if judgement.verdict is Verdict.THROTTLED:
        return Throttled(sentence, retry_after=UNNAMED_WAIT_SECONDS if judgement.wait is None else judgement.wait)
    body, permanent = beginning(answered.body, mask, KEPT_FOR_CALLER).encode(), not judgement.passing
    headers = CaseInsensitiveDict({name: mask.known(value) for name, value in answered.headers.items()})
    return BadAnswer(sentence, status_code=answered.status, body=body, headers=headers, code=judgement.code, permanent=permanent)


def refuse_in_transaction() -> None:
    """Raise CallInTransaction inside a transaction; the one that Django's test cases open around a test does not count."""
    if connection.in_atomic_block and any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
        raise CallInTransaction("A call to another system was made inside a transaction. Commit first, then call.")
