"""The token by which anybody may see a repository's badges."""

from __future__ import annotations

from django.db import transaction

from access import audit
from access.choices import AuditVerb
from core.errors import Conflict
from integrations.models import Repository
from integrations.models.repository import new_badge_token


def renew_badge_token(repository: Repository) -> Repository:
    """Give a repository a new token; addresses with the old one show "unknown" from now on. Raises Conflict where it was deleted."""
    return _set(repository, new_badge_token(), "badge token renewed")


def revoke_badge_token(repository: Repository) -> Repository:
    """Take the token away: no badge of the repository is shown any more. Raises Conflict where it was deleted."""
    return _set(repository, None, "badge token revoked")


def _set(repository: Repository, token: str | None, done: str) -> Repository:
    with transaction.atomic():
        row = Repository.objects.select_for_update(no_key=True).filter(id=repository.id).first()
        if row is None:
            raise Conflict("This repository was deleted meanwhile.")
        row.badge_token = token
        row.save(update_fields=["badge_token", "updated_at"])
        audit.record(AuditVerb.ACTED, row, action=done)
    return row
