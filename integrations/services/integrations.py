"""Creating, changing, testing and removing integrations. Their credentials are rotated in services/credentials.py."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core import redact
from core.errors import Conflict
from core.models import CachedAnswer, Circuit, QuotaUsage
from integrations.checking import CheckReport, run_check
from integrations.choices import Status
from integrations.contract.fields import FieldKind
from integrations.health.checks import learn_expiry
from integrations.health.record import MANUAL, enroll, record_check
from integrations.models import Endpoint, Integration
from integrations.services import purge
from integrations.services.credentials import (
    check_overlap,
    credential_columns,
    locked,
    readable,
    restore_credentials,
    rotate_credentials,
    secret_changes,
    store,
)
from integrations.services.drafts import Draft, candidate, changed_draft, new_draft
from integrations.services.values import IntegrationValues
from integrations.signals import configured

__all__ = [
    "IntegrationValues",
    "activate",
    "create_integration",
    "deactivate",
    "delete_integration",
    "restore_credentials",
    "rotate_credentials",
    "test_integration",
    "update_integration",
]
_NAMED = 5


def create_integration(values: IntegrationValues) -> Integration:
    """Create an integration. Raises one InvalidInput that names every wrong field. Nothing is called; see test_integration()."""
    draft = new_draft(values)
    row = candidate(draft)
    row.credentials_changed_at = timezone.now() if draft.credentials else None
    with transaction.atomic():
        row.save(force_insert=True)
        row.refresh_from_db(fields=["created_at"])
        enroll(row)
        audit.record(AuditVerb.CREATED, row, changes=_differences(draft, Integration(config={})))
    return row


def update_integration(integration: Integration, values: IntegrationValues, *, replace: bool = False) -> Integration:
    """Change what `values` holds. New credentials replace the present ones untested; these are kept for the usual overlap.

    With `replace` the configuration is given whole, else it is merged. Where it leads to another host, URL or kind of sign-in,
    the credentials must be given again, and the old ones are dropped at once: they could be restored for the new place. Raises
    InvalidInput that names every wrong field, and Conflict.
    """
    with transaction.atomic():
        row = locked(integration.id)
        draft = changed_draft(row, values, replace=replace)
        changes = _differences(draft, row)
        if changes:
            columns = draft.columns()
            if draft.credentials is not None:
                columns = credential_columns(row, draft.credentials, 0 if draft.moved else check_overlap(None)) | columns
            elif draft.moved:
                columns |= {"previous_credentials": None, "previous_until": None}
            store(row, columns)
            audit.record(AuditVerb.CHANGED, row, changes=changes)
            if draft.config is not None:
                configured.send(Integration, integration=row)
    return row


def delete_integration(integration: Integration) -> None:
    """Hide an integration for good and forget its credentials; housekeeping removes its history, and the log of its calls in time.

    Raises Conflict (code in_use) while webhooks send through it or endpoints can be called.
    """
    with transaction.atomic():
        purge.lock_parts(integration.id)
        row = locked(integration.id, whole=True)
        names = list(Endpoint.objects.filter(integration=row, enabled=True).order_by("name").values_list("name", flat=True)[: _NAMED + 1])
        if names:
            few = ", ".join(names[:_NAMED]) + (" and others" if len(names) > _NAMED else "")
            raise Conflict(f"Teams may still call its endpoints ({few}); disable or delete these first.", code="in_use")
        if kinds := purge.users_of(row.id):
            raise Conflict(f"This integration is still used ({', '.join(kinds)}); change or delete that first.", code="in_use")
        audit.record(AuditVerb.DELETED, row)
        purge.hide(row)


def activate(integration: Integration) -> Integration:
    """Switch an integration on; nothing happens where it is."""
    return _switch(integration, Status.ACTIVE)


def deactivate(integration: Integration) -> Integration:
    """Switch an integration off: nothing is called or checked any more, gateway calls are refused."""
    return _switch(integration, Status.INACTIVE)


def test_integration(integration: Integration | None, values: IntegrationValues | None = None, *, replace: bool = False) -> CheckReport:  # noqa: PT028
    """Test the connection as it is stored, or with `values` that are not stored. Calls out: no transaction may be open.

    A test of what is stored is kept as a manual health sample. Without an integration the values describe a new one. Raises
    InvalidInput for wrong values, and Conflict (code not_checkable) where the connector has no test.
    """
    if integration is None:
        trial = candidate(new_draft(values or IntegrationValues()))
        try:
            return run_check(trial, trial=True)
        finally:
            forget_traces(trial.id)
    if values:
        return run_check(candidate(changed_draft(integration, values, replace=replace), integration), trial=True)
    report = run_check(integration, trial=True)
    response_ms = None if report.measured is None else report.duration_ms
    record_check(integration, report.measured, response_ms, report.error_class, "" if report.ok else report.message, MANUAL)
    learn_expiry(integration, report.credentials_expire_at)
    return report


def forget_traces(integration_id: uuid.UUID) -> None:
    """Remove what the door remembers of an integration that is gone, or was never stored: all but the log."""
    for model in (Circuit, QuotaUsage, CachedAnswer):
        model.objects.filter(integration_id=integration_id).delete()


def _switch(integration: Integration, status: Status) -> Integration:
    with transaction.atomic():
        row = locked(integration.id)
        if row.status != status:
            before, row.status = row.status, status
            row.save(update_fields=["status", "updated_at"])
            audit.record(AuditVerb.CHANGED, row, changes={"status": [before, status.value]})
    return row


def _differences(draft: Draft, row: Integration) -> dict[str, list[Any]]:
    """Return what changes as the audit trail may keep it: of credentials the names only, of URLs nothing that signs in."""
    before = {name: None if row._state.adding else getattr(row, name) for name in draft.plain}
    changes = audit.diff(before, dict(draft.plain))
    if draft.config is not None:
        urls = {field.name for field in draft.connector.fields if field.kind == FieldKind.URL}
        for name, (old, new) in audit.diff(row.config, draft.config).items():
            changes[f"config.{name}"] = [_shown(old), _shown(new)] if name in urls else [old, new]
    if draft.changed_secrets:
        changes |= secret_changes({} if row._state.adding else readable(row, "credentials"), draft.credentials or {})
    return changes


def _shown(url: Any) -> Any:
    return redact.url(url) if isinstance(url, str) else url
