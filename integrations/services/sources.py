"""Having integrations scan repositories, and leaving off."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, TypedDict

from django.db import IntegrityError, transaction
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from access.principals import Principal
from core.errors import Conflict, InvalidInput
from integrations.models import Integration, Repository, RepositorySource
from integrations.models.source import DAILY
from integrations.selectors.sources import all_sources, scanning_integrations_by_id

MOST_HOURS = 24 * 90
MOST_SOURCES = 50
_DEFAULTS: dict[str, Any] = {"scan_on_push": True, "scan_on_pull_request": False, "scan_on_alert": True, "every_hours": DAILY}


class SourceValues(TypedDict, total=False):
    """What a caller may set; a key that is absent takes the default."""

    integration_id: uuid.UUID
    scan_on_push: bool
    scan_on_pull_request: bool
    scan_on_alert: bool
    every_hours: int | None


def set_sources(repository: Repository, values: Sequence[SourceValues], who: Principal) -> None:
    """Have exactly these integrations scan a repository, in the caller's transaction. Integrations that `who` can't see stay as they are.

    Raises InvalidInput for an integration that is unknown to `who` or has no findings, and for a change of one that `who` can't see.
    """
    ids = [one["integration_id"] for one in values]
    if len(ids) > MOST_SOURCES or len(set(ids)) < len(ids):
        raise InvalidInput.of("sources", f"must name each integration once, and at most {MOST_SOURCES}.")
    with transaction.atomic():
        Repository.objects.select_for_update(no_key=True).filter(pk=repository.pk).first()
        present = {row.integration_id: row for row in all_sources().filter(repository=repository)}
        known = scanning_integrations_by_id({*ids, *present}, who)
        for id in ids:
            if id not in known and id not in present:
                raise _unknown("sources", id)
        for id, row in present.items():
            if id not in ids and (id in known or who.sees_all):
                unlink_source(row)
        for one in values:
            before = present.get(one["integration_id"])
            if before and one["integration_id"] not in known:
                _refuse_change(before, one)
            elif before:
                change_source(before, one)
            else:
                _create(repository, known[one["integration_id"]], one)


def link_source(repository: Repository, values: SourceValues, who: Principal) -> RepositorySource:
    """Have an integration scan a repository. Raises InvalidInput, and Conflict where it does already."""
    id = values["integration_id"]
    known = scanning_integrations_by_id([id], who)
    if id not in known:
        raise _unknown("integration", id)
    return _create(repository, known[id], values)


def change_source(row: RepositorySource, values: SourceValues) -> RepositorySource:
    """Change when an integration scans a repository. Raises InvalidInput."""
    wanted = _checked(values)
    with transaction.atomic():
        changes = audit.diff({name: getattr(row, name) for name in wanted}, wanted)
        if changes:
            moved = {"next_at": timezone.now()} if "every_hours" in changes else {}
            RepositorySource.objects.filter(pk=row.pk).update(**wanted, **moved)
            audit.record(AuditVerb.CHANGED, row, changes=changes, owner_id=row.repository.owner_id)
    return row


def unlink_source(row: RepositorySource) -> None:
    """Have an integration scan a repository no more; what it found stays."""
    with transaction.atomic():
        audit.record(AuditVerb.DELETED, row, owner_id=row.repository.owner_id)
        RepositorySource.objects.filter(pk=row.pk).delete()


def _checked(values: SourceValues) -> dict[str, Any]:
    wanted: dict[str, Any] = _DEFAULTS | {name: value for name, value in values.items() if name in _DEFAULTS}
    hours = wanted["every_hours"]
    if hours is not None and not 1 <= hours <= MOST_HOURS:
        raise InvalidInput.of("every_hours", f"must be 1 to {MOST_HOURS}, or null for never.")
    return wanted


def _create(repository: Repository, integration: Integration, values: SourceValues) -> RepositorySource:
    wanted = _checked(values)
    row = RepositorySource(repository=repository, integration=integration, **wanted)
    with transaction.atomic():
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            sentence = "scans this repository already; change that one."
            raise Conflict(f"integration: {sentence}", code="already_exists", fields={"integration": [sentence]}) from error
        audit.record(AuditVerb.CREATED, row, changes=audit.diff({}, wanted), owner_id=repository.owner_id)
    return row


def _refuse_change(row: RepositorySource, values: SourceValues) -> None:
    """Raise InvalidInput where something else is said of somebody else's integration, whose quota its scans use up."""
    if any(getattr(row, name) != value for name, value in values.items()):
        raise InvalidInput.of("sources", f"{row.integration_id} is somebody else's integration: leave it as it is, or ask an admin.")


def _unknown(field: str, id: uuid.UUID) -> InvalidInput:
    sentence = f"{id} is no integration with findings that you can see; GET /api/v1/integrations lists them."
    return InvalidInput.of(field, sentence, code="unknown_integration")
