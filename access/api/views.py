"""API keys, their use, and the audit trail."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from access import services
from access.api.filters import ApiKeyFilter, ApiUsageFilter, AuditFilter
from access.api.serializers import (
    ApiKeySerializer,
    ApiUsageSerializer,
    AuditEntrySerializer,
    CreatedApiKeySerializer,
    RotateSerializer,
)
from access.models import ApiKey, ApiUsage, AuditEntry
from access.owners import resolve_owner
from access.principals import principal
from access.selectors import with_owner
from access.usage import fold_if_free
from core.api.viewsets import CreateRow, DestroyRow, ListRows, RetrieveRow, UpdateRow
from core.errors import InvalidInput

# what a PUT leaves out becomes what a new key would have
_DEFAULTS: dict[str, Any] = {
    "scopes": ["all"],
    "environment": "live",
    "rate_per_minute": None,
    "unlimited": False,
    "allowed_cidrs": [],
    "expires_at": None,
}


class ApiKeyViewSet(ListRows[ApiKey], RetrieveRow[ApiKey], CreateRow[ApiKey], UpdateRow[ApiKey], DestroyRow[ApiKey]):
    """Keys for this API. A key's text is in the answer that creates or rotates it, and nowhere else."""

    scope_resource = "api-keys"
    queryset = with_owner(ApiKey.objects.all())
    serializer_class = ApiKeySerializer
    created_serializer_class = CreatedApiKeySerializer
    filterset_class = ApiKeyFilter
    list_actions = {"usage": ApiUsageFilter}

    def create_row(self, data: dict[str, Any]) -> ApiKey:
        """Create a key that can do no more than its creator."""
        who = principal(self.request)
        owner_id = resolve_owner(data.pop("owner"), who) if "owner" in data else who.default_owner_id
        key, text = services.create_key(services.KeyValues(owner_id=owner_id, **data), who)
        key.key = text  # type: ignore[attr-defined]  # what CreatedApiKeySerializer shows
        return key

    def update_row(self, row: ApiKey, data: dict[str, Any]) -> ApiKey:
        """Change a key; its owner stays."""
        who = principal(self.request)
        if "owner" in data and resolve_owner(data.pop("owner"), who) != row.owner_id:
            raise InvalidInput.of("owner", "can't be changed; create a key for the other owner.")
        if self.action == "update":
            data = _DEFAULTS | data
        return services.update_key(row, data, who)

    def delete_row(self, row: ApiKey) -> None:
        """Revoke a key: it ends at once, and stays listed."""
        services.revoke_key(row, principal(self.request))

    @extend_schema(request=RotateSerializer, responses={201: CreatedApiKeySerializer})
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, id: str) -> Response:
        """Replace a key by a new one; the old one goes on working for `overlap_hours`."""
        key = self.get_object()
        values = self.checked_data(RotateSerializer)
        new, text = services.rotate_key(key, values["overlap_hours"], principal(request))
        new.key = text  # type: ignore[attr-defined]
        return self.answer(new, status.HTTP_201_CREATED, CreatedApiKeySerializer)

    @extend_schema(responses=ApiUsageSerializer(many=True))
    @action(detail=True, methods=["get"])
    def usage(self, request: Request, id: str) -> Response:
        """List how often a key called each route on each day."""
        key = self.get_object()
        fold_if_free()
        return self.page(ApiUsage.objects.filter(key=key), ApiUsageSerializer)


class AuditLogViewSet(ListRows[AuditEntry], RetrieveRow[AuditEntry]):
    """Every change by admin, API or command: who, what, from where. Entries are never changed."""

    scope_resource = "audit-log"
    queryset = with_owner(AuditEntry.objects.all())
    serializer_class = AuditEntrySerializer
    filterset_class = AuditFilter
