"""The log of outbound calls: one redacted row for each try, also for those that never left, and its counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db import transaction

from core import context, metrics
from core.errors import RepoGuardError
from core.http.door import Outgoing, Terms
from core.http.exchange import Answered
from core.http.masking import Mask
from core.models import RequestLog
from core.models.outbound import CallOutcome

CALLS = "repoguard_outbound_calls_total"
DURATION = "repoguard_outbound_duration_seconds"
KEPT_BODY_CHARS = 8192
READ_FOR_BODY = 65_536
_HEADER_CHARS = 1000
_ERROR_CHARS = 500
_URL_CHARS = 2000


@dataclass(frozen=True)
class Entry:
    """What is to be said about one try."""

    outcome: CallOutcome
    attempt: int = 1
    answered: Answered | None = field(default=None, repr=False)
    error_class: str = ""
    error: str = ""
    retry_after: float | None = None
    keep_body: bool = False


class CallLog:
    """Writes the rows of one call."""

    def __init__(self, terms: Terms, mask: Mask) -> None:
        self.terms = terms
        self.mask = mask

    def refused(self, request: Outgoing, url: str, error: RepoGuardError, attempt: int = 1) -> None:
        """Write that a call was not sent, and why."""
        entry = Entry(CallOutcome.REFUSED, attempt, None, error.code, error.message, error.retry_after)
        self.write(request, url, entry)

    def write(self, request: Outgoing, url: str, entry: Entry) -> None:
        """Write one row and count it, in one transaction."""
        terms, answered, mask = self.terms, entry.answered, self.mask
        row = RequestLog(
            integration_id=terms.integration_id,
            owner_id=terms.owner_id,
            purpose=terms.purpose,
            endpoint=terms.endpoint[:100],
            method=mask.text(request.method, 10),
            url=mask.url(url, _URL_CHARS),
            outcome=entry.outcome,
            attempt=entry.attempt,
            error_class=entry.error_class[:30],
            error=mask.text(entry.error, _ERROR_CHARS),
            retry_after=entry.retry_after,
            request_headers=mask.headers(request.headers.items(), _HEADER_CHARS),
            request_bytes=len(request.body or b""),
            started_at=datetime.now(UTC),
            actor=context.actor().label[:200],
            request_id=context.request_id()[:64],
        )
        counts: metrics.Counts = {(CALLS, metrics.labels(outcome=entry.outcome.value, purpose=str(terms.purpose))): 1.0}
        if answered is not None:
            row.status_code = answered.status
            row.response_headers = mask.headers(answered.headers.items(), _HEADER_CHARS)
            row.response_bytes = len(answered.body)
            row.response_body = self._body(answered) if entry.keep_body else ""
            row.address, row.started_at, row.duration_ms = answered.address, answered.started_at, round(answered.duration * 1000, 1)
            if entry.outcome != CallOutcome.REFUSED:
                counts |= metrics.histogram(DURATION, {}, [answered.duration], metrics.DURATION_BUCKETS)
        with transaction.atomic():
            row.save(force_insert=True)
            metrics.add(counts)

    def _body(self, answered: Answered) -> str:
        return beginning(answered.body, self.mask, KEPT_BODY_CHARS)


def beginning(body: bytes, mask: Mask, limit: int) -> str:
    """Return the first characters of a body, masked before they are cut."""
    text = body[:READ_FOR_BODY].decode("utf-8", "replace")
    return mask.text(text, limit, cut=len(body) > READ_FOR_BODY)
