"""What a caller may call (scopes and roles) and which rows it gets (owners). Named in settings.REST_FRAMEWORK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from rest_framework.filters import BaseFilterBackend
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from access.principals import principal
from access.scopes import WRITE
from access.selectors import visible
from core.errors import NotAllowed

if TYPE_CHECKING:  # settings.REST_FRAMEWORK names this module, so it is loaded before DRF's views are
    from rest_framework.views import APIView


class ScopePermission(BasePermission):
    """Lets a caller through who has the scope that the view names (PortalViewSet.required_scope)."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Say no to the unauthenticated (a 401); raises NotAllowed naming what is missing."""
        if not request.user.is_authenticated:
            return False
        required: Any = getattr(view, "required_scope", None)
        if required is None:
            raise NotAllowed(f"{type(view).__name__} names no scope, so nobody may call it.")
        scope: str = required()
        who = principal(request)
        if scope in who.scopes:
            return True
        if not who.may_write and scope.endswith(f":{WRITE}"):
            raise NotAllowed(f"The role {who.role} only reads; {scope} is not for it.")
        holder = "This key" if who.kind == "key" else f"The role {who.role or 'of this user'}"
        raise NotAllowed(f"{holder} lacks the scope {scope}.")


class VisibleRowsFilter(BaseFilterBackend):
    """Limits every list and every single object to the caller's rows; `owner_path` of the view says where their owner stands."""

    scopes_rows = True

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        """Return the visible rows."""
        return visible(queryset, principal(request), path=getattr(view, "owner_path", "owner_id"))

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return nothing: it takes no parameters."""
        return []
