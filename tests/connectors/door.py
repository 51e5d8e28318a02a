"""A door that leads nowhere: it records calls and answers what it was told, judged as the real one judges."""

from __future__ import annotations

import json as jsonlib
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from requests.structures import CaseInsensitiveDict

from core.http import client, prepare
from core.http.door import Auth, CallFailed, Outgoing, Reply, Terms, Throttled
from core.http.exchange import Answered
from core.http.judging import Verdict, judge
from core.http.masking import Mask

TIMED_OUT = CallFailed("The service did not answer within 30 s. Look at its load, or raise the integration's timeout.", code="timeout")
GARBAGE = b"\x00\xff<<{[garbage"


@dataclass(frozen=True)
class Answer:
    """What the service says."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A call as it would have left, credentials included."""

    method: str
    url: str
    headers: CaseInsensitiveDict[str]
    body: bytes
    repeatable: bool | None

    def json(self) -> Any:
        return jsonlib.loads(self.body)


def answer(value: Any, status: int = 200, **headers: str) -> Answer:
    """Return a JSON answer, or one of bytes or text as they are."""
    if isinstance(value, str):
        value = value.encode()
    body = value if isinstance(value, bytes) else jsonlib.dumps(value).encode()
    return Answer(status, body, {name.replace("_", "-"): text for name, text in headers.items()})


class FakeDoor(client.Door):
    """Answers in turn; the last answer is repeated. An exception is raised."""

    def __init__(self, *answers: Answer | Exception, auth: Auth | None = None) -> None:
        super().__init__(Terms(integration_id=uuid.UUID(int=1), name="The service", attempts=1), auth)
        self.answers = list(answers)
        self.calls: list[Call] = []

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        body: bytes | None = None,
        expected: Collection[int] = client.EXPECTED,
        cache_seconds: int = 0,
        refresh: bool = False,
        repeatable: bool | None = None,
        unnamed_wait: float | None = None,
    ) -> Reply:
        """Record the call and answer it."""
        request = prepare.outgoing(method, url, params, dict(headers or {}), json, body)
        for _ in range(2):
            reply = self._answer(request, expected, repeatable)
            if reply is not None:
                return reply
        raise AssertionError("refused twice")

    def _answer(self, request: Outgoing, expected: Collection[int], repeatable: bool | None) -> Reply | None:
        signed = Outgoing(request.method, request.url, dict(request.headers), list(request.params), request.body)
        self.auth.apply(signed)
        prepare.check(signed)
        full = prepare.target_url(signed.url, signed.params)
        self.calls.append(Call(signed.method, full, CaseInsensitiveDict(signed.headers), signed.body or b"", repeatable))
        assert self.answers, f"nobody said what {signed.method} {full} answers"
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        answered = Answered(datetime.now(UTC), found.status, CaseInsensitiveDict(found.headers), found.body)
        judgement = judge(answered, expected, self.terms.name, has_kept=False, has_credentials=bool(self.auth.secrets()))
        if judgement.verdict is Verdict.GOOD:
            return Reply(found.status, answered.headers, found.body, full)
        raise client._error(judgement, answered, Mask(self.auth.secrets()))


__all__ = ["GARBAGE", "TIMED_OUT", "Answer", "Call", "CallFailed", "FakeDoor", "Throttled", "answer"]
