"""Inventories: lock files and SBOMs uploaded, listed, looked at, forgotten."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_serializer
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.serializers import StrictModelSerializer
from core.api.uploads import BodyCap, file_chunks
from core.api.viewsets import DestroyRow, ListRows, RetrieveRow
from scans.api.filters import InventoryFilter
from scans.api.naming import named_repository
from scans.api.serializers import RepositoryNamedMixin
from scans.inventories import keeping
from scans.inventories.selectors import packages_in, shown_inventories
from scans.models import Inventory

MOST_SHOWN = 1000
_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
INVENTORY: dict[str, Any] = {
    "id": _ID,
    "repository": _ID,
    "repository_name": "acme/shop",
    "ref": "main",
    "manifest": "web/package-lock.json",
    "format": "package-lock",
    "commit": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5",
    "content_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "package_count": 2,
    "ecosystems": {"npm": 2},
    "uploaded_by": "key CI (rg_live_h3Kd92Xq…)",
    "created_at": "2026-11-20T12:05:00Z",
    "updated_at": "2026-11-20T12:05:00Z",
}
_PACKAGE = {"ecosystem": "npm", "name": "lodash", "version": "4.17.15", "purl": ""}
DETAIL = {**INVENTORY, "packages": [_PACKAGE]}
_PARAMETERS = ("repository", "ref", "commit", "manifest")
_FORM = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}, "required": ["file"]}
_LOCK = {"lockfileVersion": 3, "packages": {"node_modules/lodash": {"version": "4.17.15"}}}
_HELP = {
    "repository": "Id or full name (owner/name) of the repository.",
    "ref": "Branch or ref that the file is of; the default branch when left out.",
    "commit": "SHA of the commit that the file is of.",
    "manifest": "Path of the file in the repository; the usual name of such a file when left out.",
}


@extend_schema_serializer(examples=[OpenApiExample("An inventory", value=INVENTORY, response_only=True)])
class InventorySerializer(RepositoryNamedMixin, StrictModelSerializer[Inventory]):
    """Which packages one lock file or SBOM names."""

    ecosystems = serializers.DictField(child=serializers.IntegerField(), read_only=True, help_text="Packages by ecosystem, in OSV's words.")

    class Meta:
        model = Inventory
        fields: tuple[str, ...] = tuple(INVENTORY)
        read_only_fields = fields


@extend_schema_serializer(examples=[OpenApiExample("An inventory", value=DETAIL, response_only=True)])
class InventoryDetailSerializer(InventorySerializer):
    """An inventory with its packages."""

    packages = serializers.SerializerMethodField(help_text=f"The first {MOST_SHOWN} packages, sorted.")

    class Meta(InventorySerializer.Meta):
        fields = tuple(DETAIL)
        read_only_fields = fields

    def get_packages(self, row: Inventory) -> list[dict[str, str]]:
        """Return the packages."""
        return [{name: getattr(one, name) for name in _PACKAGE} for one in packages_in(row)[:MOST_SHOWN]]


class InventoryViewSet(ListRows[Inventory], RetrieveRow[Inventory], DestroyRow[Inventory]):
    """What repositories use, as their lock files and SBOMs say: what sources such as OSV are asked about."""

    scope_resource = "scans"
    owner_path = "repository__owner_id"
    queryset = shown_inventories()
    serializer_class = InventorySerializer
    filterset_class = InventoryFilter
    max_body_bytes: ClassVar[Any] = BodyCap("INVENTORY_MAX_BYTES")
    body_limit_setting = "INVENTORY_MAX_BYTES"
    query_parameters: ClassVar[Any] = {"upload": frozenset(_PARAMETERS)}
    # the body is streamed, and never held to be compared; the same file again changes nothing
    not_idempotent = frozenset({"upload"})

    @extend_schema(responses={200: InventoryDetailSerializer})
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer an inventory with its packages."""
        return self.answer(self.get_object(), serializer_class=InventoryDetailSerializer)

    @extend_schema(
        parameters=[OpenApiParameter(name, str, required=name == "repository", description=_HELP[name]) for name in _PARAMETERS],
        request={"application/json": {"type": "object"}, "multipart/form-data": _FORM},
        examples=[
            OpenApiExample("A package-lock.json", value=_LOCK, request_only=True, media_type="application/json"),
            OpenApiExample("Kept", value=INVENTORY, response_only=True, status_codes=["200", "201"]),
            OpenApiExample("A form", value={"file": "{…}"}, request_only=True, media_type="multipart/form-data"),
        ],
        responses={201: InventorySerializer, 200: OpenApiResponse(InventorySerializer, "In place of an earlier one.")},
    )
    @action(detail=False, methods=["post"])
    def upload(self, request: Request) -> Response:
        """Take a lock file or an SBOM in, as the body (plain or gzip) or as the part `file` of a form.

        It takes the place of the earlier one with this path on this ref. Its format is recognised; docs/osv.md lists what is read.
        """
        given = request.query_params
        about = keeping.FileAbout(
            repository=named_repository(request, given.get("repository", "")),
            ref=given.get("ref", ""),
            commit=given.get("commit", ""),
            manifest=given.get("manifest", ""),
        )
        kept = keeping.keep(about, file_chunks(request._request, "application/octet-stream", any_type=True))
        return self.answer(kept.inventory, status.HTTP_201_CREATED if kept.created else status.HTTP_200_OK)

    def delete_row(self, row: Inventory) -> None:
        """Forget a file."""
        keeping.remove(row)
