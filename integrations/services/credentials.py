"""Rotating an integration's credentials: the new ones are tried before the old are dropped, and the old can come back for a while.

No call falls back on the old ones by itself: a service that answers 401 may mean either, and a silent fall-back would hide a
rotation that failed. Restoring is a decision, and one press of a button.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core import runtime
from core.errors import Conflict, InvalidInput
from core.fields import DecryptError
from integrations.checking import CheckReport, can_check, run_check
from integrations.models import Integration
from integrations.services.drafts import candidate, changed_draft, stored_credentials
from integrations.services.values import IntegrationValues

LONGEST_OVERLAP_HOURS = 720
CHANGED_MEANWHILE = "This integration was changed by somebody else meanwhile; nothing was done. Look at it and try again."
GONE = "This integration was deleted meanwhile."


@dataclass(frozen=True)
class Rotation:
    """What came of a rotation; `report` is None where the new credentials were not tried."""

    integration: Integration
    changed: tuple[str, ...]
    report: CheckReport | None
    previous_until: datetime | None


def rotate_credentials(
    integration: Integration, credentials: dict[str, Any], overlap_hours: float | None = None, *, force: bool = False
) -> Rotation:
    """Try new credentials and store them; those that are not given stay. Calls out: no transaction may be open.

    The old ones are kept encrypted for `overlap_hours` (None: as the settings say; 0: not at all). Raises InvalidInput, and
    Conflict: code check_failed where the new ones don't work (`force` skips the test), code changed_meanwhile where another
    rotation or change came first. Then nothing is changed.
    """
    hours = check_overlap(overlap_hours)
    seen = _read(integration.id)
    draft = changed_draft(seen, IntegrationValues(credentials=credentials))
    if draft.credentials is None:
        raise InvalidInput.of("credentials", "are the present ones; give at least one new value.", code="nothing_new")
    report = None
    if not force and can_check(seen):
        report = run_check(candidate(draft, seen), trial=True)
        if not report.ok:
            raise Conflict(
                f"The new credentials were not stored, because the test with them failed: {report.message} "
                "Mend them, or send force to store them untested.",
                code="check_failed",
                fields={"credentials": [report.message]},
                retry_after=report.retry_after,
            )
    with transaction.atomic():
        row = locked(integration.id)
        if (row.credentials_changed_at, row.config) != (seen.credentials_changed_at, seen.config):
            raise Conflict(CHANGED_MEANWHILE, code="changed_meanwhile")
        audited = secret_changes(readable(row, "credentials"), draft.credentials)
        changes = credential_columns(row, draft.credentials, hours)
        if report is not None and report.credentials_expire_at is not None:
            changes["credentials_expire_at"] = report.credentials_expire_at
        store(row, changes)
        audit.record(AuditVerb.ACTED, row, action="rotate-credentials", changes=audited | _circumstances(hours, report, force=force))
    return Rotation(row, draft.changed_secrets, report, row.previous_until)


def restore_credentials(integration: Integration) -> Integration:
    """Put the old credentials back; the present ones take their place until the overlap ends, so that it can be undone.

    Raises Conflict where there are none (any more).
    """
    with transaction.atomic():
        row = locked(integration.id)
        now = timezone.now()
        old = readable(row, "previous_credentials")
        if not old or row.previous_until is None or row.previous_until <= now:
            raise Conflict("There are no old credentials to restore: none were replaced, or their overlap has ended.", code="no_previous")
        present = readable(row, "credentials") or None
        until = row.previous_until if present else None
        store(row, {"credentials": old, "previous_credentials": present, "previous_until": until, "credentials_changed_at": _later(row)})
        audit.record(AuditVerb.ACTED, row, action="restore-credentials", changes=secret_changes(present or {}, old))
    return row


def drop_expired(limit: int, *, dry_run: bool = False) -> int:
    """Forget old credentials whose overlap has ended; returns how many rows."""
    ended = Integration.objects.filter(previous_until__lte=timezone.now())
    ids = list(ended.order_by("id").values_list("id", flat=True)[:limit])
    if ids and not dry_run:
        return int(ended.filter(id__in=ids).update(previous_credentials=None, previous_until=None))
    return len(ids)


def check_overlap(hours: object) -> float:
    """Return for how many hours old credentials are kept, by default as the settings say; raises InvalidInput."""
    if hours is None:
        return float(runtime.current().credentials_overlap_hours)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 <= hours <= LONGEST_OVERLAP_HOURS:
        raise InvalidInput.of("overlap_hours", f"must be a number from 0 to {LONGEST_OVERLAP_HOURS}.")
    return float(hours)


def credential_columns(row: Integration, credentials: dict[str, Any], hours: float) -> dict[str, Any]:
    """Return the columns of new credentials, with the present ones kept beside them for `hours`."""
    present = readable(row, "credentials") if hours > 0 else None
    until = timezone.now() + timedelta(hours=hours) if present else None
    columns = {"credentials": credentials, "previous_credentials": present or None, "previous_until": until}
    # the expiry was that of the old ones
    return columns | {"credentials_changed_at": _later(row), "credentials_expire_at": None}


def locked(integration_id: uuid.UUID, *, whole: bool = False) -> Integration:
    """Return the row, locked and without its credentials loaded; raises Conflict where it is gone.

    Locked as a `whole` it waits for those who begin to refer to it, and they wait for the end of the transaction.
    """
    rows = Integration.objects.select_for_update(no_key=not whole, of=("self",)).defer("credentials", "previous_credentials")
    row = rows.filter(id=integration_id).first()
    if row is None:
        raise Conflict(GONE, code="gone")
    return row


def readable(row: Integration, field: str) -> dict[str, Any]:
    """Return stored credentials, {} for none and for those that can't be decrypted any more."""
    try:
        return dict(getattr(row, field) or {})
    except DecryptError:
        return {}


def store(row: Integration, columns: dict[str, Any]) -> None:
    """Write named columns of a locked row."""
    for name, value in columns.items():
        setattr(row, name, value)
    row.save(update_fields=[*columns, "updated_at"])


def _read(integration_id: uuid.UUID) -> Integration:
    row = Integration.objects.defer("credentials", "previous_credentials").filter(id=integration_id).first()
    if row is None:
        raise Conflict(GONE, code="gone")
    return row


def _later(row: Integration) -> datetime:
    """Return now, or just after the last change: two changes never share a time, by which they are told apart."""
    now, last = timezone.now(), row.credentials_changed_at
    return now if last is None or last < now else last + timedelta(microseconds=1)


def secret_changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[Any]]:
    """Return what an audit entry says of credentials: which were given, changed and removed."""
    names = [f"credentials.{name}" for name in {**before, **after}]
    old, new = ({f"credentials.{name}": value for name, value in values.items()} for values in (before, after))
    return audit.diff(old, new, secret_fields=names)


def _circumstances(hours: float, report: CheckReport | None, *, force: bool) -> dict[str, Any]:
    tested = "yes" if report is not None else "no, by force" if force else "no: the connector has no test"
    return {"overlap_hours": [None, hours], "tested": [None, tested]}


__all__ = ["Rotation", "check_overlap", "drop_expired", "restore_credentials", "rotate_credentials", "stored_credentials"]
