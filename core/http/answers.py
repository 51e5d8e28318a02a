"""Kept answers: for conditional requests, for reuse while fresh, and to stand in while a service can't be asked.

An answer is found again only by the same integration with the same credentials, and is encrypted with its headers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone
from requests.structures import CaseInsensitiveDict  # noqa: TID251 - headers are found in any case

from core.fields import DecryptError
from core.http.door import MEGABYTE, Outgoing, Reply, Terms
from core.models import CachedAnswer

logger = logging.getLogger(__name__)
MAX_BODY = MEGABYTE
VALIDATOR_DAYS = 7
_LONGEST_ETAG = 500
_LONGEST_DATE = 100
_CONDITIONAL = frozenset({"if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range", "range"})
# they are one request's, not the answer's
NOT_KEPT = frozenset({"set-cookie", "set-cookie2", "connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length"})


@dataclass(frozen=True)
class Kept:
    """A kept answer."""

    key: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    etag: str
    last_modified: str
    stored_at: datetime
    fresh_until: datetime | None

    @property
    def age(self) -> float:
        """Return the seconds since the service gave or confirmed it."""
        return max(0.0, (timezone.now() - self.stored_at).total_seconds())

    @property
    def is_fresh(self) -> bool:
        """Say whether it may be used without asking."""
        return self.fresh_until is not None and self.fresh_until > timezone.now()

    def reply(self, url: str, *, stale: bool = False) -> Reply:
        """Return it as an answer."""
        return Reply(self.status, CaseInsensitiveDict(self.headers), self.body, url, stale=stale, cached=True, age=self.age)

    def confirmed_reply(self, headers: Mapping[str, str], url: str) -> Reply:
        """Return it as an answer of which the service says that it still holds, with the headers that it says so with (RFC 9111, 4.3.4).

        What stands in them can change while the body does not, such as a Link to a next page that was not there before.
        """
        merged = CaseInsensitiveDict(self.headers)
        merged.update({name: value for name, value in headers.items() if name.lower() not in NOT_KEPT})
        return Reply(self.status, merged, self.body, url, cached=True)

    def conditions(self) -> dict[str, str]:
        """Return the headers that ask whether it still holds."""
        conditions = {}
        if self.etag:
            conditions["If-None-Match"] = self.etag
        if self.last_modified:
            conditions["If-Modified-Since"] = self.last_modified
        return conditions


def key_of(terms: Terms, request: Outgoing, url: str, fingerprint: str) -> str:
    """Return the key of a request's answer; "" where it is never kept (not a GET, or the caller's own conditions)."""
    names = {name.lower() for name in request.headers}
    if request.method != "GET" or request.body is not None or names & _CONDITIONAL:
        return ""
    headers = sorted((name.lower(), value) for name, value in request.headers.items())
    text = json.dumps([str(terms.integration_id), url, headers, fingerprint])
    return hashlib.sha256(text.encode()).hexdigest()


def find(key: str) -> Kept | None:
    """Return a kept answer. One that can't be decrypted any more counts as none."""
    try:
        row = CachedAnswer.objects.filter(key=key, expires_at__gt=timezone.now()).first() if key else None
        if row is None:
            return None
        head, _, body = base64.b64decode(row.body).partition(b"\n")
        headers = CaseInsensitiveDict(json.loads(head))
    except (DecryptError, ValueError):
        logger.warning("kept_answer_unreadable", extra={"key": key})
        return None
    return Kept(key, row.status_code, headers, body, row.etag, row.last_modified, row.stored_at, row.fresh_until)


def keep(key: str, terms: Terms, status: int, headers: Mapping[str, str], body: bytes, cache_seconds: int) -> None:
    """Keep a good answer where it can be of use again: it can be asked about, is fresh for a while, or may stand in later."""
    etag, last_modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    etag, last_modified = etag if len(etag) <= _LONGEST_ETAG else "", last_modified if len(last_modified) <= _LONGEST_DATE else ""
    keeps = _lifetime(terms, cache_seconds, asks=bool(etag or last_modified))
    if not key or not keeps or status != 200 or len(body) > MAX_BODY or "no-store" in headers.get("Cache-Control", "").lower():
        return
    now = timezone.now()
    kept = {name: value for name, value in headers.items() if name.lower() not in NOT_KEPT}
    row = CachedAnswer(
        key=key,
        integration_id=terms.integration_id,
        etag=etag.replace("\0", ""),
        last_modified=last_modified.replace("\0", ""),
        status_code=status,
        body=base64.b64encode(json.dumps(kept).encode() + b"\n" + body).decode(),
        stored_at=now,
        fresh_until=now + timedelta(seconds=cache_seconds) if cache_seconds else None,
        expires_at=now + keeps,
    )
    names = ["etag", "last_modified", "status_code", "body", "stored_at", "fresh_until", "expires_at"]
    CachedAnswer.objects.bulk_create([row], update_conflicts=True, unique_fields=["key"], update_fields=names)


def confirm(kept: Kept, terms: Terms, cache_seconds: int) -> None:
    """Note that the service said the answer still holds."""
    now = timezone.now()
    CachedAnswer.objects.filter(key=kept.key).update(
        stored_at=now,
        fresh_until=now + timedelta(seconds=cache_seconds) if cache_seconds else None,
        expires_at=now + _lifetime(terms, cache_seconds, asks=True),
    )


def _lifetime(terms: Terms, cache_seconds: int, *, asks: bool) -> timedelta:
    return max(timedelta(seconds=max(cache_seconds, terms.stale_seconds)), timedelta(days=VALIDATOR_DAYS if asks else 0))
