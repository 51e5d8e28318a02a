"""The base of every API view.

How to write a viewset:

    class WebhookViewSet(ListRows, RetrieveRow, CreateRow, UpdateRow, DestroyRow, PortalViewSet[Webhook]):
        scope_resource = "webhooks"                     # scopes webhooks:read and webhooks:write
        queryset = Webhook.objects.filter(deleted_at=None)
        serializer_class = WebhookSerializer            # a StrictModelSerializer with an example
        created_serializer_class = CreatedWebhookSerializer  # optional: what the 201 answers (a secret shown once)
        filterset_class = WebhookFilter

        def create_row(self, data: dict[str, Any]) -> Webhook:
            return services.create_webhook(principal(self.request), **data)

        def update_row(self, row, data): ...            # data holds only what was sent when the request is a PATCH
        def delete_row(self, row): ...

        @action(detail=True, methods=["post"], url_path="rotate-secret")
        def rotate_secret(self, request: Request, id: str) -> Response:
            webhook = self.get_object()                 # scoped: a stranger's is a 404
            ...

Rows are always taken from `get_object()` or `self.scoped(queryset)`, so that the caller sees only what is theirs. A GET
needs `<resource>:read`, anything else `<resource>:write`; `scope_verbs` changes that for an action, `scope_resources` names
another resource for one. Query parameters of actions other than the list are named in `query_parameters`. Every POST takes
an Idempotency-Key and is then carried out in one transaction: name actions that must not be in `not_idempotent`. A list of
other rows (deliveries of a webhook) is answered by `self.page(queryset, Serializer)`; name its action in `list_actions`.
Services raise core.errors types; nothing is caught here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet, UUIDField
from rest_framework import status
from rest_framework.exceptions import MethodNotAllowed, NotFound
from rest_framework.mixins import RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from core.api import idempotency
from core.api.filters import filter_names, filtered, refuse_unknown
from core.api.pagination import NewestFirstPagination

M = TypeVar("M", bound=Model)
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
READING = frozenset({"GET", "HEAD", "OPTIONS"})


class PortalViewSet(GenericViewSet[M]):
    """See the module."""

    scope_resource: ClassVar[str] = ""
    scope_verbs: ClassVar[Mapping[str, str]] = {}
    scope_resources: ClassVar[Mapping[str, str]] = {}
    query_parameters: ClassVar[Mapping[str, frozenset[str]]] = {}
    list_actions: ClassVar[Mapping[str, Any]] = {}
    not_idempotent: ClassVar[frozenset[str]] = frozenset()
    created_serializer_class: ClassVar[type[BaseSerializer[Any]] | None] = None
    filterset_class: ClassVar[Any] = None
    max_body_bytes: ClassVar[int | None] = None
    body_limit_setting: ClassVar[str] = "API_MAX_BODY_BYTES"
    lookup_field = "id"
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, count against the rate limit, check the scope, then the query parameters."""
        self.format_kwarg = self.get_format_suffix(**kwargs)
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        request.version, request.versioning_scheme = self.determine_version(request, *args, **kwargs)
        self.perform_authentication(request)
        # before the permissions, unlike in DRF: refused requests count, and their answers carry the limit as well
        self.check_throttles(request)
        if self._action() is None and request.user.is_authenticated:
            raise MethodNotAllowed(request.method or "")
        self.check_permissions(request)
        refuse_unknown(request, self.known_parameters())
        if request.method == "POST" and self.action not in self.not_idempotent:
            self._run_once(request)

    def get_object(self) -> M:
        """Return the row that the path names, of those the caller may see.

        An id is written in one way: Python and PostgreSQL would read `{…}`, `urn:uuid:…` and others as well.
        """
        if isinstance(self.get_queryset().model._meta.pk, UUIDField) and not _ID.fullmatch(str(self.kwargs[self.lookup_field])):
            raise NotFound
        return super().get_object()

    def required_scope(self) -> str:
        """Return the scope that the present action needs, as `<resource>:<verb>`."""
        return self.scope_for(self._action() or "", self.request.method or "")

    @classmethod
    def scope_for(cls, action: str, method: str) -> str:
        """Return the scope that an action needs when it is called by an HTTP method."""
        verb = cls.scope_verbs.get(action) or ("read" if method in READING else "write")
        return f"{cls.scope_resources.get(action, cls.scope_resource)}:{verb}"

    def known_parameters(self) -> frozenset[str]:
        """Return the query parameters that the present action understands."""
        extra = self.query_parameters.get(self._action() or "", frozenset())
        if self.action == "list":
            return extra | filter_names(self) | getattr(self.pagination_class, "parameters", frozenset())
        if self.action in self.list_actions:
            filterset = self.list_actions[self.action]
            return extra | NewestFirstPagination.parameters | frozenset(filterset.base_filters if filterset else ())
        return extra

    def scoped(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of `queryset` that the caller may see (or change, for a changing request)."""
        for backend in self.filter_backends:
            if getattr(backend, "scopes_rows", False):
                queryset = backend().filter_queryset(self.request, queryset, self)
        return queryset

    def page(self, queryset: QuerySet[Any], serializer_class: type[BaseSerializer[Any]] | None = None) -> Response:
        """Answer one page of `queryset`, which must be scoped already or be scoped by its parent row.

        The filterset that `list_actions` names for the present action is applied.
        """
        if filterset_class := self.list_actions.get(self._action() or ""):
            filterset = filterset_class(self.request.query_params, queryset=queryset, request=self.request)
            queryset = filtered(filterset)
        rows: Any = self.paginate_queryset(queryset)
        maker = serializer_class or self.get_serializer_class()
        return self.get_paginated_response(maker(rows, many=True, context=self.get_serializer_context()).data)

    def answer(self, row: Any, status_code: int = status.HTTP_200_OK, serializer_class: Any = None) -> Response:
        """Answer one object."""
        maker = serializer_class or self.get_serializer_class()
        return Response(maker(row, context=self.get_serializer_context()).data, status=status_code)

    def checked_data(
        self, serializer_class: type[BaseSerializer[Any]] | None = None, *, row: M | None = None, partial: bool = False
    ) -> Any:
        """Return the request's body as `serializer_class` (this viewset's by default) reads it; raises ValidationError."""
        maker = serializer_class or self.get_serializer_class()
        serializer = maker(row, data=self.request.data, partial=partial, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def _action(self) -> str | None:
        # DRF sets it to None for a method that the route does not have, and to "metadata" for OPTIONS
        action: str | None = getattr(self, "action", None)
        return None if action == "metadata" else action

    def _run_once(self, request: Request) -> None:
        inner: Callable[..., Response] = self.post  # type: ignore[has-type]  # bound by as_view()

        def post(request: Request, *args: Any, **kwargs: Any) -> Response:
            return idempotency.once(request, lambda: inner(request, *args, **kwargs))

        # dispatch() looks the handler up after this
        self.post = post


class ListRows(PortalViewSet[M]):
    """GET on the collection."""

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer a page, newest first."""
        return self.page(self.filter_queryset(self.get_queryset()))


class RetrieveRow(RetrieveModelMixin, PortalViewSet[M]):
    """GET on one object."""


class CreateRow(PortalViewSet[M]):
    """POST on the collection."""

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Create one object."""
        row = self.create_row(self.checked_data())
        return self.answer(row, status.HTTP_201_CREATED, self.created_serializer_class)

    def create_row(self, data: dict[str, Any]) -> M:
        """Create the row by a service."""
        raise NotImplementedError


class UpdateRow(PortalViewSet[M]):
    """PUT and PATCH on one object."""

    def update(self, request: Request, *args: Any, partial: bool = False, **kwargs: Any) -> Response:
        """Replace one object; fields left out take their defaults, secrets stay."""
        row = self.get_object()
        return self.answer(self.update_row(row, self.checked_data(row=row, partial=partial)))

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change the fields that are sent."""
        return self.update(request, *args, partial=True, **kwargs)

    def update_row(self, row: M, data: dict[str, Any]) -> M:
        """Change the row by a service."""
        raise NotImplementedError


class DestroyRow(PortalViewSet[M]):
    """DELETE on one object."""

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete one object."""
        self.delete_row(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def delete_row(self, row: M) -> None:
        """Delete the row by a service."""
        raise NotImplementedError
