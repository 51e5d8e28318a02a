"""Removes sign-ins that nobody came back from."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from core.housekeeping import Batch, Job, Step
from integrations.models import OAuthRequest


def prune_sign_ins(batch: Batch) -> Step:
    """Delete sign-ins whose time is up."""
    rows = OAuthRequest.objects.filter(expires_at__lt=timezone.now())
    ids = list(rows.values_list("pk", flat=True)[: batch.limit])
    if ids and not batch.dry_run:
        OAuthRequest.objects.filter(pk__in=ids).delete()
    return Step(len(ids), "more" if len(ids) == batch.limit and not batch.dry_run else "")


JOBS = (Job("integrations.sign_ins", timedelta(hours=1), "Deletes OAuth2 sign-ins that nobody finished.", prune_sign_ins),)
