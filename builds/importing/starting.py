"""Starting and cancelling imports of builds."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import BigIntegerField, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from builds.choices import ImportKind, ImportStatus
from builds.importing import files
from builds.importing.progress import unfinished
from builds.importing.travistorrent import check_file, size_of
from builds.importing.work import KIND_NAME
from builds.models import BuildImport
from builds.selectors import shown_status
from core import context, leases, work_registry
from core.errors import Conflict
from core.models.work import WorkState

_MOST_ATTEMPTS = 10


def import_csv(chunks: Iterable[bytes], owner_id: uuid.UUID | None) -> BuildImport:
    """Take a TravisTorrent file in, plain or gzip, and have a worker read it; builds of unknown projects go to `owner_id`.

    Raises TooLarge, InvalidInput for a file without the columns that every build needs, and Conflict where as much as one file may
    hold waits to be read for the same owner. Call it outside of a transaction: the file may be large.
    """
    _check_room(owner_id)
    path = files.keep(chunks)
    try:
        check_file(path)
        with transaction.atomic():
            row = BuildImport.objects.create(
                kind=ImportKind.TRAVISTORRENT, owner_id=owner_id, file_path=str(path), max_attempts=_MOST_ATTEMPTS,
                progress={"size": size_of(path), "host": leases.host_name()}, started_by=context.actor().label[:200],
            )  # fmt: skip
            audit.record(AuditVerb.ACTED, row, action="import", owner_id=owner_id)
            work_registry.wake(KIND_NAME)
    except BaseException:
        files.discard(str(path))
        raise
    return fresh(row)


def _check_room(owner_id: uuid.UUID | None) -> None:
    """Refuse a file where the owner's others would fill the disk: of a few packed kilobytes each unpacks to gigabytes."""
    theirs: dict[str, Any] = {"kind": ImportKind.TRAVISTORRENT, "owner_id": owner_id}
    waiting = BuildImport.objects.filter(unfinished(), **theirs)
    size = Cast(KeyTextTransform("size", "progress"), BigIntegerField())
    unread = waiting.aggregate(unread=Sum(size))["unread"] or 0
    if unread >= settings.BUILDS_CSV_MAX_BYTES:
        raise Conflict(
            f"Files of {unread} bytes (unpacked) wait to be read already, and BUILDS_CSV_MAX_BYTES allows {settings.BUILDS_CSV_MAX_BYTES}."
            " Wait until one of these imports is done, or cancel it.",
            code="imports_waiting",
        )


def cancel_import(row: BuildImport) -> BuildImport:
    """End an import for good; what it stored stays. Raises Conflict when it has ended."""
    with transaction.atomic():
        current = BuildImport.objects.select_for_update().get(pk=row.pk)
        status = shown_status(current)
        if status not in (ImportStatus.RUNNING, ImportStatus.WAITING):
            raise Conflict(f"This import is {ImportStatus(status).label}: it can't be cancelled.", code=f"import_{status}")
        now = timezone.now()
        BuildImport.objects.filter(pk=row.pk).update(status=ImportStatus.CANCELLED, run_after=now, updated_at=now)
        idle = BuildImport.objects.filter(pk=row.pk, state=WorkState.QUEUED)
        if idle.update(state=WorkState.DONE, finished_at=now):
            transaction.on_commit(lambda: files.discard(current.file_path))
        audit.record(AuditVerb.ACTED, current, action="cancel", owner_id=current.owner_id)
    return fresh(current)


def fresh(row: BuildImport) -> BuildImport:
    """Return the import as it is now, with its owner."""
    return BuildImport.objects.select_related("owner__user", "owner__team").get(pk=row.pk)
