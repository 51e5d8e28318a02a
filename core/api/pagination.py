"""Pages of newest first, by a cursor on the id. No COUNT: a log of millions pages like one of ten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Model
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from core.errors import InvalidInput

if TYPE_CHECKING:  # settings.REST_FRAMEWORK names this module, so it is loaded before DRF's views are
    from rest_framework.views import APIView

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200


@dataclass(frozen=True)
class Cursor:
    """Where a page starts: after the row `key` in the list, or before it."""

    key: Any
    backward: bool = False

    def pack(self) -> str:
        """Return the opaque text form."""
        return signing.dumps([str(self.key), self.backward], salt="core.api.cursor")

    @classmethod
    def unpack(cls, text: str) -> Cursor:
        """Read a cursor; raises InvalidInput for one that this portal did not make."""
        try:
            key, backward = signing.loads(text, salt="core.api.cursor")
        except (signing.BadSignature, ValueError, TypeError) as error:
            raise _bad_cursor() from error
        return cls(key, bool(backward))


class NewestFirstPagination(BasePagination):
    """`?page_size=` (1 to 200) and `?cursor=`, taken from `next` or `previous` of another page.

    One statement a page. A subclass may set `key` to another unique, ordered column.
    """

    key: ClassVar[str] = "id"
    parameters: ClassVar[frozenset[str]] = frozenset({"cursor", "page_size"})

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        """Return the rows of the page that `request` asks for."""
        self.request = request
        size = _page_size(request)
        cursor = self._cursor(queryset.model, request)
        backward = cursor is not None and cursor.backward
        if cursor is not None:
            queryset = queryset.filter(**{f"{self.key}__{'gt' if backward else 'lt'}": cursor.key})
        rows = list(queryset.order_by(self.key if backward else f"-{self.key}")[: size + 1])
        more = len(rows) > size
        del rows[size:]
        if backward:
            rows.reverse()
        self.next_link = self._link(rows[-1], backward=False) if rows and (more or backward) else None
        self.previous_link = self._link(rows[0], backward=True) if rows and (more if backward else cursor is not None) else None
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        """Return the page."""
        return Response({"results": data, "next": self.next_link, "previous": self.previous_link})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of a page of `schema`."""
        link = {"type": "string", "nullable": True, "format": "uri", "example": None}
        further = link | {"example": "https://portal.example.com/api/v1/webhooks?cursor=WyIwMTk4MGY0MSJd"}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": further, "previous": link},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the query parameters of a list."""
        size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE}
        return [
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "description": "From `next` or `previous`.",
                "schema": {"type": "string", "minLength": 1},
            },
            {"name": "page_size", "in": "query", "required": False, "description": "Rows on a page.", "schema": size},
        ]

    def _cursor(self, model: type[Model], request: Request) -> Cursor | None:
        text = request.query_params.get("cursor")
        if text is None:
            return None
        cursor = Cursor.unpack(text)
        try:
            key = model._meta.get_field(self.key).to_python(cursor.key)  # type: ignore[union-attr]
        except ValidationError as error:
            raise _bad_cursor() from error
        return Cursor(key, cursor.backward)

    def _link(self, row: Model, *, backward: bool) -> str:
        url = remove_query_param(self.request.build_absolute_uri(), "cursor")
        return replace_query_param(url, "cursor", Cursor(getattr(row, self.key), backward).pack())


class WholeList(BasePagination):
    """Describes a list that is answered by `whole_list`: in the shape of a page, without parameters."""

    parameters: ClassVar[frozenset[str]] = frozenset()

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of a page of `schema`."""
        link = {"type": "string", "nullable": True, "format": "uri", "example": None}
        names = ["results", "next", "previous"]
        return {"type": "object", "required": names, "properties": {"results": schema, "next": link, "previous": link}}


def whole_list(items: Sequence[Any]) -> Response:
    """Answer a short list that is not in the database (a catalogue) in the shape of a page."""
    return Response({"results": list(items), "next": None, "previous": None})


def _page_size(request: Request) -> int:
    text = request.query_params.get("page_size", str(DEFAULT_PAGE_SIZE))
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MAX_PAGE_SIZE):
        raise InvalidInput.of("page_size", f"must be a whole number from 1 to {MAX_PAGE_SIZE}.")
    return int(text)


def _bad_cursor() -> InvalidInput:
    return InvalidInput.of("cursor", "is not one that a list answered with; leave it out to start at the newest.", code="invalid_cursor")
