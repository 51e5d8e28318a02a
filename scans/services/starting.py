"""Starting scans."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from access import audit
from access.choices import AuditVerb
from core import context, work_registry
from core.errors import InvalidInput
from core.ids import uuid7
from integrations.models import Repository
from scans import uploads
from scans.choices import ScanTrigger
from scans.formats import detect
from scans.formats.source import Source
from scans.ingest.repeated import name_of
from scans.kinds import KIND_NAME
from scans.models import Scan
from scans.refs import checked_commit, checked_ref

_MOST_ATTEMPTS = 5
_LONGEST = 255


@dataclass(frozen=True)
class UploadedAbout:
    """What an upload is about, as its sender says; what is empty follows from the report or the repository."""

    repository: Repository
    ref: str = ""
    commit: str = ""
    category: str = ""
    format: str = ""
    complete: bool = True


def upload_report(about: UploadedAbout, chunks: Iterable[bytes]) -> Scan:
    """Take a report in and have a worker read it. Call it outside of a transaction: the report may be large.

    Raises InvalidInput for a report of an unknown format and for wrong values, TooLarge.
    """
    ref = checked_ref(about.ref) or about.repository.default_branch
    commit = checked_commit(about.commit)
    category = _checked_category(about.category)
    with uploads.spooled(chunks) as (file, size):
        if not size:
            raise InvalidInput("The report is empty: send it as the body, or as the part `file` of a form.", code="empty_report")
        source = Source(file, size)
        format = detect.find(about.format) if about.format else detect.detect(source)
        name = name_of(file)
        with transaction.atomic():
            id = uuid7()
            scan = Scan.objects.create(
                id=id, turn=id, repository=about.repository, trigger=ScanTrigger.UPLOAD, format=format.key, category=category, ref=ref,
                commit=commit, complete=about.complete, size=size, max_attempts=_MOST_ATTEMPTS, started_by=context.actor().label[:200],
                report_name=name,
            )  # fmt: skip
            uploads.keep(scan, file)
            audit.record(AuditVerb.CREATED, scan, owner_id=about.repository.owner_id)
            work_registry.wake(KIND_NAME)
    return scan


def _checked_category(text: str) -> str:
    if len(text) > _LONGEST or not text.isprintable():
        raise InvalidInput.of("category", f"must be at most {_LONGEST} printable characters.")
    return text
