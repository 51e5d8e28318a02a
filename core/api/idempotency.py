"""Idempotency-Key: a POST that is sent again answers what it answered the first time, and is carried out once.

The key's row is written first, in a transaction of its own; then the request is carried out in one transaction together
with saving its answer. So a row without an answer is a request in progress, or one whose process was killed: after
TAKEOVER_SECONDS another request may take the row over by compare-and-set on its token. The save is fenced by the same
token, so of an original that was only slow and its successor exactly one commits.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from core import context
from core.errors import Conflict, InvalidInput
from core.ids import uuid7
from core.models import IdempotencyKey

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
MAX_LENGTH = 255
TAKEOVER_SECONDS = 60
LIFETIME = timedelta(hours=24)
Handler = Callable[[], Response]


@dataclass(frozen=True)
class _Claim:
    """The right to carry a request out."""

    fingerprint: str
    token: uuid.UUID


class _Superseded(Exception):
    """Another process took the row over while this one was carrying the request out."""


def once(request: Request, handler: Handler) -> Response:
    """Carry `handler` out, or answer as the first request with this key did.

    Raises InvalidInput for a malformed key, and Conflict while the first request is in progress (code
    idempotency_in_progress) or when its body was another (idempotency_mismatch). Without the header, just calls `handler`.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return handler()
    if not 1 <= len(key) <= MAX_LENGTH or not (key.isascii() and key.isprintable()):
        raise InvalidInput.of(HEADER, f"must be 1 to {MAX_LENGTH} printable ASCII characters.")
    fingerprint, body_hash = _fingerprint(request, key), _body_hash(request)
    claim = _claim(fingerprint, body_hash)
    if isinstance(claim, Response):
        return claim
    return _carry_out(claim, handler)


def _fingerprint(request: Request, key: str) -> str:
    caller = context.actor()
    path = request.path_info.replace("/api/v1/", "/api/", 1)  # the alias is the same route
    return hashlib.sha256("\n".join([caller.kind, caller.id, request.method or "", path, key]).encode()).hexdigest()


def _body_hash(request: Request) -> str:
    query = request.META.get("QUERY_STRING", "")
    return hashlib.sha256(query.encode() + b"\n" + request.body).hexdigest()


def _claim(fingerprint: str, body_hash: str) -> _Claim | Response:
    """Write the row, or find out what became of the one that is there."""
    claim = _Claim(fingerprint, uuid7())
    fresh = IdempotencyKey(fingerprint=fingerprint, body_hash=body_hash, token=claim.token)
    IdempotencyKey.objects.bulk_create([fresh], ignore_conflicts=True)
    row = IdempotencyKey.objects.filter(fingerprint=fingerprint).first()
    if row is None:  # freed or pruned in between
        raise _in_progress()
    if row.token == claim.token:
        return claim
    age = timezone.now() - row.created_at
    if age > LIFETIME:
        return _take_over(row, claim, body_hash)
    if row.body_hash != body_hash:
        raise Conflict(f"This {HEADER} was used with another body; use a new key for a new request.", code="idempotency_mismatch")
    if row.status_code is not None:
        return Response(json.loads(str(row.answer)), status=row.status_code, headers={REPLAYED_HEADER: "true"})
    if age > timedelta(seconds=TAKEOVER_SECONDS):
        return _take_over(row, claim, body_hash)
    raise _in_progress()


def _take_over(row: IdempotencyKey, claim: _Claim, body_hash: str) -> _Claim:
    unchanged = IdempotencyKey.objects.filter(id=row.id, token=row.token, status_code=row.status_code)
    if unchanged.update(token=claim.token, body_hash=body_hash, status_code=None, answer=None, created_at=Now()) != 1:
        raise _in_progress()
    return claim


def _carry_out(claim: _Claim, handler: Handler) -> Response:
    try:
        with transaction.atomic():
            response = handler()
            if response.status_code >= 400:
                transaction.set_rollback(True)
            elif not _save(claim, response):
                raise _Superseded
    except _Superseded:
        raise _in_progress() from None
    except BaseException:
        _free(claim)
        raise
    if response.status_code >= 400:
        _free(claim)
    return response


def _save(claim: _Claim, response: Response) -> bool:
    answer = JSONRenderer().render(response.data).decode() if response.data is not None else "null"
    mine = IdempotencyKey.objects.filter(fingerprint=claim.fingerprint, token=claim.token)
    return mine.update(status_code=response.status_code, answer=answer) == 1


def _free(claim: _Claim) -> None:
    IdempotencyKey.objects.filter(fingerprint=claim.fingerprint, token=claim.token, status_code=None).delete()


def _in_progress() -> Conflict:
    return Conflict(f"A request with this {HEADER} is in progress; try again shortly.", code="idempotency_in_progress", retry_after=1)
