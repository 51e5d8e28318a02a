"""Reading repositories."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.db.models import Q, QuerySet

from access.principals import Principal
from access.selectors import visible
from integrations.models import Repository


def repositories_by_reference(references: Collection[str], who: Principal) -> dict[str, list[Repository]]:
    """Return the visible repositories that each reference (an id or a full name) may mean, in one statement."""
    ids = {reference: _id(reference) for reference in references}
    wanted = Q(id__in=[id for id in ids.values() if id]) | Q(full_name__in=[reference for reference, id in ids.items() if not id])
    rows = list(visible(Repository.objects.filter(wanted), who)) if references else []
    return {reference: [row for row in rows if (row.id == id if id else row.full_name == reference)] for reference, id in ids.items()}


def repositories_by_id(ids: Collection[uuid.UUID], who: Principal) -> list[Repository]:
    """Return the visible repositories among `ids`."""
    return list(visible(Repository.objects.filter(id__in=ids), who)) if ids else []


def all_repositories() -> QuerySet[Repository]:
    """Return every repository with its owner loaded, for the API and the admin to scope."""
    return Repository.objects.select_related("owner__user", "owner__team")


def _id(reference: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(reference) if len(reference) >= 32 else None
    except ValueError:
        return None
