"""Repositories."""

from __future__ import annotations

from typing import Any

from access.owners import resolve_owner
from access.principals import principal
from core.api.viewsets import CreateRow, DestroyRow, ListRows, RetrieveRow, UpdateRow
from integrations.api.repository_filters import RepositoryFilter
from integrations.api.repository_serializers import RepositorySerializer
from integrations.models import Repository
from integrations.selectors.repositories import all_repositories
from integrations.services import repositories as services

# what a PUT leaves out becomes what a new repository would have
_DEFAULTS: dict[str, Any] = {"default_branch": "main", "active": True}


class RepositoryViewSet(
    ListRows[Repository], RetrieveRow[Repository], CreateRow[Repository], UpdateRow[Repository], DestroyRow[Repository]
):
    """Repositories that events, scans and builds are about."""

    scope_resource = "repositories"
    queryset = all_repositories()
    serializer_class = RepositorySerializer
    filterset_class = RepositoryFilter

    def create_row(self, data: dict[str, Any]) -> Repository:
        """Register a repository for the owner named, else for the caller's own."""
        who = principal(self.request)
        data["owner_id"] = resolve_owner(data.pop("owner"), who) if "owner" in data else who.default_owner_id
        return self._with_owner(services.create_repository(services.RepositoryValues(**data)))  # type: ignore[typeddict-item]

    def update_row(self, row: Repository, data: dict[str, Any]) -> Repository:
        """Change a repository; a new owner gets its events from now on."""
        if "owner" in data:
            data["owner_id"] = resolve_owner(data.pop("owner"), principal(self.request))
        if self.action == "update":
            data = _DEFAULTS | data
        return self._with_owner(services.update_repository(row, services.RepositoryValues(**data)))  # type: ignore[typeddict-item]

    def delete_row(self, row: Repository) -> None:
        """Remove a repository."""
        services.delete_repository(row)

    def _with_owner(self, row: Repository) -> Repository:
        return all_repositories().get(id=row.id)
