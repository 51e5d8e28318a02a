"""What a changed default branch makes of a repository's findings: open is what is on that branch. Done some at a time, by housekeeping."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models.signals import pre_save
from django.utils import timezone

from integrations.models import Repository
from scans.choices import FindingState
from scans.ingest.merging import merge
from scans.ingest.settling import open_presences, write
from scans.locking import locked
from scans.models import ChangedBranch, Finding


def before_saving(sender: Any, instance: Repository, update_fields: Collection[str] | None = None, **_: Any) -> None:
    """Note a change of the default branch, in the transaction that makes it."""
    if instance._state.adding or (update_fields is not None and "default_branch" not in update_fields):
        return
    with transaction.atomic():
        before = locked(instance.pk)  # ahead of the note, in rejudge()'s order: the two would wait for each other
        if before is not None and before.default_branch != instance.default_branch:
            ChangedBranch.objects.update_or_create(id=instance.pk, defaults={"after": uuid.UUID(int=0)})


def listen() -> None:
    """Have before_saving() called, however a repository is changed."""
    pre_save.connect(before_saving, sender=Repository, dispatch_uid="scans.rejudging")


def rejudge(limit: int) -> int:
    """Look at up to `limit` findings of a repository whose branch was changed; returns how many there were."""
    first = ChangedBranch.objects.order_by("created_at", "id").first()
    if first is None:
        return 0
    with transaction.atomic():
        # its lock comes first, as everywhere
        repository = locked(first.pk)
        row = ChangedBranch.objects.filter(pk=first.pk).first()
        if row is None:
            return 0
        mine = Finding.objects.filter(repository=repository, id__gt=row.after) if repository else Finding.objects.none()
        ids = list(mine.exclude(state=FindingState.STAGED).order_by("id").values_list("id", flat=True)[:limit])
        if repository:
            _rejudge(ids, repository.default_branch, timezone.now())
        if len(ids) < limit:
            row.delete()
        else:
            ChangedBranch.objects.filter(pk=row.pk).update(after=ids[-1])
    return len(ids)


def _rejudge(ids: Sequence[uuid.UUID], branch: str, now: datetime) -> None:
    presences = open_presences(ids)
    merged, moved = [], []
    for id, finding in Finding.objects.in_bulk(ids).items():
        there, before = presences[id], finding.state
        differs = merge(finding, there, branch)
        if any(one.stream.ref == branch for one in there):
            finding.state = FindingState.OPEN
        elif there and before == FindingState.OPEN:  # not fixed: it is where it was, and that is not the default branch any more
            finding.state = FindingState.BRANCH
        if finding.state != before:
            moved.append(finding)
            if before == FindingState.FIXED:
                finding.opened_at, finding.fixed_at = now, None
        if differs:
            merged.append(finding)
        finding.updated_at = now if differs or finding.state != before else finding.updated_at
    write(merged, moved)
