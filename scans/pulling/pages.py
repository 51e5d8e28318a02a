"""The pages of a scan as they come: stored with the place to go on from, in one transaction each under the lease."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any, cast

from django.conf import settings
from django.db import transaction

from core.errors import TooLarge
from core.ids import uuid7
from core.models.work import WorkState
from core.texts import storable_json
from core.work import LeaseLost, Run
from integrations.contract.reports import ReportedFinding
from integrations.contract.scans import ScanItem, ScanPage
from scans import uploads
from scans.models import Scan, ScanPart
from scans.pulling.items import items_of, lines_of

MOST_CURSOR = 16 * 1024 * 1024


def held(run: Run) -> Scan:
    """Return the scan as it is now, locked; in the caller's transaction. Raises LeaseLost."""
    row = Scan.objects.select_for_update().filter(pk=run.row.pk, state=WorkState.RUNNING, lease_token=run.token).first()
    if row is None:
        raise LeaseLost(str(run.row.pk))
    return row


def keep_page(run: Run, page: ScanPage) -> None:
    """Store a page: all of it or nothing. Raises LeaseLost, and TooLarge where it all becomes too much."""
    lines = lines_of(page.items)
    if len(json.dumps(page.cursor)) > MOST_CURSOR:  # each page would write it anew, and a service that has no end make it grow
        raise TooLarge("What has to be remembered to go on behind this page is too much: look at the service, or the mirror of it.")
    with transaction.atomic():
        row = held(run)
        number = int(row.progress.get("parts", 0))
        for start in range(0, len(lines), uploads.PIECE):
            ScanPart.objects.create(scan=row, number=number, data=zlib.compress(lines[start : start + uploads.PIECE], 1))
            number += 1
        row.size += len(lines)
        if row.size > settings.SCAN_MAX_BYTES:
            raise TooLarge(f"What the source has is over {settings.SCAN_MAX_BYTES} bytes, the limit that SCAN_MAX_BYTES sets.")
        # a cursor holds what the service wrote, such as the token of its next page
        row.progress = storable_json(row.progress | _progress(row, page) | {"parts": number})
        if page.expected is not None:
            row.expected = page.expected
        # what was reached is kept, so the tries begin anew; a page that kills its process is never kept
        row.error, row.attempts = "", 1
        row.save(update_fields=["progress", "expected", "size", "error", "attempts"])
    scan = cast("Scan", run.row)
    scan.progress, scan.expected, scan.size, scan.attempts = row.progress, row.expected, row.size, row.attempts


def end_pages(run: Run) -> None:
    """Note that all pages are here: the scan gets its turn among those that are written. Raises LeaseLost."""
    with transaction.atomic():
        row = held(run)
        row.turn = uuid7()
        row.save(update_fields=["turn"])
    cast("Scan", run.row).turn = row.turn


def kept_items(scan: Scan) -> Iterator[ScanItem]:
    """Yield the items of all pages."""
    with uploads.kept(scan) as (file, _):
        yield from items_of(file)


def _progress(row: Scan, page: ScanPage) -> dict[str, Any]:
    before = row.progress
    found = sum(isinstance(item, ReportedFinding) for item in page.items)
    values = {"cursor": dict(page.cursor), "pages": int(before.get("pages", 0)) + 1, "read": int(before.get("read", 0)) + found}
    return values | ({"synced_to": page.synced_to.isoformat()} if page.synced_to else {})
