"""Removing findings, some at a time: those of deleted repositories, and those that scans left which were killed for good.

A repository may have a hundred thousand of them. Its own row goes at once, and lists, which join it, show them no more.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.signals import post_delete

from core.models.work import WorkState
from integrations.models import Repository
from scans.choices import FindingState
from scans.models import Finding, FindingIdentifier, Presence, RemovedRepository, RiskAcceptance, Scan

AT_ONCE = 500
"""So many go with the repository itself; housekeeping removes the rest."""


def after_deletion(sender: Any, instance: Repository, **_: Any) -> None:
    """Note that a repository's findings are to go, and remove the first of them, in the transaction that deletes it."""
    RemovedRepository.objects.get_or_create(id=instance.pk)
    remove_orphans(AT_ONCE, of=instance.pk)


def listen() -> None:
    """Have after_deletion() called; however a repository is deleted."""
    post_delete.connect(after_deletion, sender=Repository, dispatch_uid="scans.removing")


def remove_orphans(limit: int, *, of: uuid.UUID | None = None) -> int:
    """Remove up to `limit` findings of a deleted repository; returns how many went. None are left once there were fewer."""
    with transaction.atomic():
        wanted = RemovedRepository.objects.filter(id=of) if of else RemovedRepository.objects.order_by("created_at", "id")
        gone = wanted.values_list("id", flat=True).first()
        if gone is None:
            return 0
        ids = list(Finding.objects.filter(repository_id=gone).order_by("-id").values_list("id", flat=True)[:limit])
        remove(ids)
        if len(ids) < limit:
            RemovedRepository.objects.filter(id=gone).delete()
        return len(ids)


def orphaned_repositories() -> int:
    """Return of how many deleted repositories findings are left."""
    return RemovedRepository.objects.count()


def remove_leftovers(limit: int, *, dry_run: bool = False) -> int:
    """Remove up to `limit` findings that were never shown because their scan was killed for good; returns how many there were.

    A repository with a scan on its way is left alone: that scan may be about to show them as its own.
    """
    going_on = Scan.objects.filter(repository_id=OuterRef("repository_id"), state__in=[WorkState.QUEUED, WorkState.RUNNING])
    staged = Finding.objects.filter(~Exists(going_on), state=FindingState.STAGED).order_by("id")
    with transaction.atomic():
        ids = list(staged.values_list("id", flat=True)[:limit])
        if not dry_run:
            remove(ids)
    return len(ids)


def remove(ids: Collection[uuid.UUID]) -> None:
    """Delete findings with all that belongs to them, in the caller's transaction."""
    for model in (Presence, FindingIdentifier, RiskAcceptance):
        model._default_manager.filter(finding_id__in=ids).delete()
    # the rest of what Django would look for is gone by now
    queryset = Finding.objects.filter(id__in=ids)
    queryset._raw_delete(queryset.db)
