"""Builds: reported by CI, listed and looked at."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from access.principals import principal
from access.selectors import with_owner
from builds.api.build_serializers import MAX_BUILDS, BuildSerializer, ReportBuildsSerializer, StoredSerializer
from builds.api.filters import BuildFilter
from builds.api.reporting import store_posted
from builds.models import Build
from builds.services import Scope
from core.api.viewsets import ListRows, RetrieveRow
from core.errors import InvalidInput

_KNOWN = {"builds", "publish"}


class BuildViewSet(ListRows[Build], RetrieveRow[Build]):
    """CI runs of every system in one vocabulary, one row for each attempt."""

    scope_resource = "builds"
    queryset = with_owner(Build.objects.all())
    serializer_class = BuildSerializer
    filterset_class = BuildFilter

    @extend_schema(request=ReportBuildsSerializer, responses={201: StoredSerializer})
    def create(self, request: Request) -> Response:
        """Store up to 1,000 builds in one transaction; one that is known is updated, whatever the order of reports.

        Wrong ones are listed in `rejected`, and the others are stored; when all are wrong, the answer is a 400. A build belongs
        to its repository's owner, or, where the project is no known repository, to the caller.
        """
        body: Any = request.data
        items = body.get("builds") if isinstance(body, dict) else None
        if not isinstance(items, list) or not 1 <= len(items) <= MAX_BUILDS:
            raise InvalidInput.of("builds", f"must be a list of 1 to {MAX_BUILDS} builds.")
        if unknown := sorted(set(body) - _KNOWN):
            raise InvalidInput.of(ascii(unknown[0])[1:-1][:100], "is not a known field. Known here: builds, publish.")
        publish = body.get("publish", True)
        if not isinstance(publish, bool):
            raise InvalidInput.of("publish", "must be true or false.")
        who = principal(request)
        scope = Scope(who.default_owner_id, None if who.is_admin else who.owner_ids)
        return self.answer(store_posted(items, scope, publish=publish), status.HTTP_201_CREATED, StoredSerializer)
