"""Reports that were sent before, byte by byte, with nothing said since that differs: CI jobs run again, uploads are tried again.

They need not be read. One of the same findings in another order, or with another date in it, is read and compared.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import IO

from django.db import transaction
from django.utils import timezone

from scans.choices import ScanOutcome
from scans.ingest.settling import Written
from scans.locking import locked
from scans.models import Scan, Stream
from scans.normal.normalise import FORM

_PIECE = 1024 * 1024


def name_of(file: IO[bytes]) -> str:
    """Return what names a report's bytes, and the form that they are brought into."""
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(_PIECE):
        digest.update(piece)
    return f"{FORM}:{digest.hexdigest()}"


def find_same(scan: Scan) -> Scan | None:
    """Return the earlier scan of the same bytes whose streams still say what it said, if there is one. Two statements."""
    if not scan.report_name or not scan.complete:
        return None
    known = Stream.objects.filter(repository_id=scan.repository_id, ref=scan.ref).exclude(digest="")
    same = Scan.objects.filter(report_name=scan.report_name, format=scan.format, category=scan.category, complete=True)
    earlier = same.filter(id__in=known.values("last_scan_id"), outcome=ScanOutcome.COMPLETED).order_by("-id").first()
    whole = earlier is not None and known.filter(last_scan_id=earlier.id).count() == earlier.sections
    return earlier if whole else None


def write_same(scan: Scan, earlier: Scan, finish: Callable[[Written], None]) -> None:
    """Have a scan say what an earlier one said, and call `finish` in the same transaction."""
    with transaction.atomic():
        locked(scan.repository_id)
        streams = Stream.objects.filter(repository_id=scan.repository_id, ref=scan.ref, last_scan_id=earlier.id)
        streams.update(last_scan_id=scan.id, last_commit=scan.commit, last_at=timezone.now())
        finish(Written(earlier.total, by_severity=Counter(earlier.by_severity), tools=list(earlier.tools), sections=earlier.sections))
