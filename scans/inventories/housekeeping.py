"""Forgets the inventories of branches that nobody works on any more."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from core.housekeeping import Batch, Job, Step
from scans.models import Inventory

_KEPT = timedelta(days=90)


def forget_old(batch: Batch) -> Step:
    """Remove what was last uploaded long ago, but for the default branch's: a lock file there may well stay as it is for years."""
    old = Inventory.objects.filter(updated_at__lt=timezone.now() - _KEPT).exclude(ref=F("repository__default_branch"))
    ids = list(old.order_by("updated_at").values_list("id", flat=True)[: batch.limit])
    if not batch.dry_run:
        old.filter(id__in=ids).delete()  # not what was uploaded again just now
    return Step(len(ids), "more" if len(ids) == batch.limit and not batch.dry_run else "")


JOB = Job("scans.inventories", timedelta(hours=6), "Forgets lock files of branches that were last uploaded 90 days ago.", forget_old)
