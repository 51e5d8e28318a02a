"""Repositories."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Prefetch

from access.owners import resolve_owner
from access.principals import principal
from core.api.viewsets import CreateRow, DestroyRow, ListRows, RetrieveRow, UpdateRow
from integrations.api.repository_filters import RepositoryFilter
from integrations.api.repository_serializers import RepositorySerializer
from integrations.models import Repository, RepositorySource
from integrations.selectors.repositories import all_repositories
from integrations.services import repositories as services
from integrations.services.sources import SourceValues, set_sources

# what a PUT leaves out becomes what a new repository would have
_DEFAULTS: dict[str, Any] = {"default_branch": "main", "active": True}


class RepositoryViewSet(
    ListRows[Repository], RetrieveRow[Repository], CreateRow[Repository], UpdateRow[Repository], DestroyRow[Repository]
):
    """Repositories that events, scans and builds are about."""

    scope_resource = "repositories"
    queryset = all_repositories().prefetch_related(Prefetch("sources", RepositorySource.objects.order_by("id")))
    serializer_class = RepositorySerializer
    filterset_class = RepositoryFilter

    def create_row(self, data: dict[str, Any]) -> Repository:
        """Register a repository for the owner named, else for the caller's own."""
        who, sources = principal(self.request), data.pop("sources", None)
        data["owner_id"] = resolve_owner(data.pop("owner"), who) if "owner" in data else who.default_owner_id
        with transaction.atomic():
            row = services.create_repository(services.RepositoryValues(**data), who)  # type: ignore[typeddict-item]
            return self._with_sources(row, sources)

    def update_row(self, row: Repository, data: dict[str, Any]) -> Repository:
        """Change a repository; a new owner gets its events from now on. Sources that are left out stay, whatever the method."""
        who, sources = principal(self.request), data.pop("sources", None)
        if "owner" in data:
            data["owner_id"] = resolve_owner(data.pop("owner"), who)
        if self.action == "update":
            data = _DEFAULTS | data
        with transaction.atomic():
            changed = services.update_repository(row, services.RepositoryValues(**data), who)  # type: ignore[typeddict-item]
            return self._with_sources(changed, sources)

    def delete_row(self, row: Repository) -> None:
        """Remove a repository."""
        services.delete_repository(row)

    def _with_sources(self, row: Repository, sources: list[SourceValues] | None) -> Repository:
        if sources is not None:
            set_sources(row, sources, principal(self.request))
        return self.queryset.all().get(id=row.id)
