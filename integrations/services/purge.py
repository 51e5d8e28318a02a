"""Deleting an integration: hidden at once, its rows removed by housekeeping in batches small enough never to hold others up."""

from __future__ import annotations

import uuid

from django.db import models, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from core.housekeeping import delete_rows
from core.models import CachedAnswer, Circuit, QuotaUsage
from integrations.choices import Status
from integrations.models import (
    Endpoint,
    HealthDay,
    HealthSample,
    Integration,
    IntegrationHealth,
    OAuthGrant,
    OAuthRequest,
    RepositorySource,
)

# what grows with time; nothing refers to it
_HISTORY: tuple[type[models.Model], ...] = (HealthSample, HealthDay, CachedAnswer, QuotaUsage)


def users_of(integration_id: uuid.UUID) -> list[str]:
    """Return what refers to an integration and forbids that it is deleted, in words."""
    relations = [one for one in Integration._meta.related_objects if one.on_delete is models.PROTECT]
    used = [one for one in relations if one.related_model._base_manager.filter(**{one.field.name: integration_id}).exists()]
    return sorted({str(one.related_model._meta.verbose_name_plural) for one in used})


def lock_parts(integration_id: uuid.UUID) -> None:
    """Lock what checks and sign-ins lock before they come to the integration's own row; the other way round would be a deadlock."""
    for model in (IntegrationHealth, OAuthGrant):
        list(model._base_manager.select_for_update().filter(integration_id=integration_id).values_list("pk"))


def hide(row: Integration) -> None:
    """Hide a locked row: its credentials and tokens go at once, as does all that is seen beside it; its history follows."""
    Integration.stored.filter(id=row.id).update(
        deleted_at=timezone.now(), status=Status.INACTIVE, owner=None, credentials={}, previous_credentials=None, previous_until=None
    )
    for model in (Endpoint, OAuthRequest, OAuthGrant, IntegrationHealth, RepositorySource):
        model._base_manager.filter(integration_id=row.id).delete()
    Circuit.objects.filter(integration_id=row.id).delete()


def hidden(after: uuid.UUID | str | None = None) -> models.QuerySet[Integration]:
    """Return the deleted integrations that are still there, in the order of their ids; with `after`, from that id on."""
    rows = Integration.stored.filter(deleted_at__isnull=False).order_by("id")
    return rows.filter(id__gte=after) if after else rows


def purge_history(integration_id: uuid.UUID, limit: int) -> int:
    """Remove up to `limit` rows of a deleted integration's history; returns how many, 0 when there are none left."""
    for model in _HISTORY:
        rows = model._default_manager.filter(integration_id=integration_id)
        ids = list(rows.values_list("pk", flat=True)[:limit])
        if ids:
            return delete_rows(rows.filter(pk__in=ids))
    return 0


def remove(integration_id: uuid.UUID) -> int:
    """Remove the row of a deleted integration; 0 where a webhook was given it at the very moment of the deletion: it waits for that."""
    try:
        with transaction.atomic():
            # deferred: what can't be decrypted any more must not keep the row alive
            rows = Integration.stored.filter(id=integration_id, deleted_at__isnull=False).defer("credentials", "previous_credentials")
            return int(rows.delete()[0])
    except ProtectedError:
        return 0
