"""A small API on the API base, for its tests: repositories, and views that misbehave."""

from __future__ import annotations

import time
from typing import Any

import django_filters
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DataError, OperationalError
from django.http import Http404
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from access.principals import principal
from core.api.serializers import SecretField, StrictModelSerializer
from core.api.viewsets import CreateRow, DestroyRow, ListRows, RetrieveRow, UpdateRow
from core.errors import Conflict, RateLimited
from integrations.models import Repository

handler400 = "core.api.errors.handler400"
handler403 = "core.api.errors.handler403"
handler404 = "core.api.errors.handler404"
handler500 = "core.api.errors.handler500"
ERRORS: dict[str, Exception] = {
    "own": Conflict("It is taken.", fields={"name": ["is taken."]}),
    "wait": RateLimited("Slower.", retry_after=1.2),
    "http404": Http404("secret detail"),
    "denied": PermissionDenied(),
    "django": ValidationError({"name": ["is odd."]}),
    "django-plain": ValidationError("is odd."),
    "nested": serializers.ValidationError({"events": [{}, {"type": ["is odd."]}], "list": ["is short."]}),
    "data": DataError("value too long"),
    "database": OperationalError("connection refused"),
    "bug": RuntimeError("password=hunter2"),
}
slow_seconds = 0.0


class SampleSerializer(StrictModelSerializer[Repository]):
    secret = SecretField()
    tags = serializers.ListField(child=serializers.CharField(), required=False, write_only=True)

    class Meta:
        model = Repository
        fields = ("id", "provider", "full_name", "default_branch", "active", "secret", "tags", "created_at")
        read_only_fields = ("id", "created_at")
        extra_kwargs = {"full_name": {"validators": []}}
        validators: list[Any] = []


class SampleFilter(django_filters.FilterSet):
    full_name = django_filters.CharFilter()
    active = django_filters.BooleanFilter()

    class Meta:
        model = Repository
        fields: list[str] = []


class SampleViewSet(ListRows[Repository], RetrieveRow[Repository], CreateRow[Repository], UpdateRow[Repository], DestroyRow[Repository]):
    scope_resource = "repositories"
    queryset = Repository.objects.all()
    serializer_class = SampleSerializer
    filterset_class = SampleFilter
    list_actions = {"siblings": SampleFilter}
    not_idempotent = frozenset({"always"})
    query_parameters = {"fail": frozenset({"kind"})}

    def create_row(self, data: dict[str, Any]) -> Repository:
        if slow_seconds:
            time.sleep(slow_seconds)
        data.pop("secret", None), data.pop("tags", None)
        row = Repository.objects.create(owner_id=principal(self.request).default_owner_id, **data)
        if row.full_name == "late/failure":
            raise Conflict("It failed late.")
        return row

    def update_row(self, row: Repository, data: dict[str, Any]) -> Repository:
        for name, value in data.items():
            setattr(row, name, value)
        row.save()
        return row

    def delete_row(self, row: Repository) -> None:
        row.delete()

    @action(detail=False, methods=["post"])
    def always(self, request: Request) -> Response:
        return Response({"data": request.data})

    @action(detail=True, methods=["get"])
    def siblings(self, request: Request, id: str) -> Response:
        return self.page(self.scoped(Repository.objects.exclude(id=self.get_object().id)))

    @action(detail=False, methods=["get"])
    def fail(self, request: Request) -> Response:
        raise ERRORS[request.query_params["kind"]]


class TinyViewSet(SampleViewSet):
    max_body_bytes = 100


router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("samples", SampleViewSet, basename="samples")
router.register("tiny", TinyViewSet, basename="tiny")
urlpatterns = [
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/", include(router.urls)),
    path("api/", include(router.urls)),
    path("", include("repoguard.urls")),
]
