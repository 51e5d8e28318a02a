"""Starting refreshes: by hand, daily, and of an uploaded file."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterable
from datetime import timedelta
from typing import IO, Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core import context, work_registry
from core.errors import Conflict, InvalidInput, TooLarge
from core.http.door import MEGABYTE
from core.texts import storable
from integrations.choices import Status
from integrations.contract.feeds import FeedName
from integrations.models import Integration
from scans.feeds.checking import check, connector_of
from scans.feeds.running import KIND_NAME
from scans.models import FeedRun, FeedState
from scans.models.feeds import UNFINISHED

MOST_FILE_BYTES = 25 * MEGABYTE
"""As much as is fetched; the larger of the two lists has 2 MB packed, and 10 MB unpacked."""
REFRESH_AFTER = timedelta(hours=20)
_MOST_ATTEMPTS = 5
_GZIP = b"\x1f\x8b"


def source_of(feed: str) -> Integration | None:
    """Return the integration that a list is read from: the oldest active one of its type."""
    return Integration.objects.filter(type=connector_of(feed).key, status=Status.ACTIVE).order_by("id").first()


def start_refresh(feed: str) -> FeedRun:
    """Have a worker read the list anew; where one does already, return that run. Raises Conflict without an integration."""
    source = source_of(feed)
    if source is None:
        title = connector_of(feed).title
        raise Conflict(f"There is no active integration of the type {title} to read from: add one, or load a file.", code="no_source")
    return _started(feed, integration=source) or FeedRun.objects.filter(UNFINISHED, feed=feed).first() or start_refresh(feed)


def start_file(feed: str, chunks: Iterable[bytes], name: str, *, forced: bool = False) -> FeedRun:
    """Take a file in, plain or gzip, and have a worker store it. Call it outside of a transaction: all of it is looked at first.

    Raises InvalidInput for what is not the list, TooLarge, and Conflict while a refresh goes on.
    """
    with tempfile.SpooledTemporaryFile(MEGABYTE) as file:
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > MOST_FILE_BYTES:
                raise TooLarge(f"The file is over {MOST_FILE_BYTES // MEGABYTE} MB: it is not this list.")
            file.write(chunk)
        if not size:
            raise InvalidInput.of("file", "is empty: choose the list as it was downloaded.")
        file.seek(0)
        check(feed, file, forced=forced)
        content = _packed(file)
    row = _started(feed, file=content, file_name=storable(name)[:200], forced=forced)
    if row is None:
        raise Conflict(f"A refresh of {FeedName(feed).label} is going on; try again when it has ended.", code="refresh_going_on")
    return row


def refresh_due() -> int:
    """Start a refresh of each list that has an integration and was not read today, or failed; returns how many."""
    young = FeedState.objects.filter(failed_at=None, read_at__gt=timezone.now() - REFRESH_AFTER).values_list("feed", flat=True)
    due = [feed for feed in FeedName.values if feed not in set(young)]
    found = [(feed, source) for feed in due if (source := source_of(feed)) is not None]
    return sum(_started(feed, integration=source) is not None for feed, source in found)


def _packed(file: IO[bytes]) -> bytes:
    file.seek(0)
    content = file.read()
    return content if content.startswith(_GZIP) else gzip.compress(content, 6)


def _started(feed: str, **values: Any) -> FeedRun | None:
    """Store a run and wake a worker; None where one is unfinished."""
    try:
        with transaction.atomic():
            row = FeedRun.objects.create(feed=feed, max_attempts=_MOST_ATTEMPTS, started_by=context.actor().label[:200], **values)
            audit.record(AuditVerb.ACTED, row, action="refresh")
            work_registry.wake(KIND_NAME)
    except IntegrityError:
        return None
    return row
