"""Query parameters: django-filter's, with unknown and empty ones refused instead of silently ignored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request

from core.api.pagination import NewestFirstPagination
from core.errors import InvalidInput

if TYPE_CHECKING:  # settings.REST_FRAMEWORK names this module, so it is loaded before DRF's views are
    from rest_framework.views import APIView


class StrictFilterBackend(DjangoFilterBackend):
    """Applies the `filterset_class` of a view to its list; single objects are not filtered by query parameters."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        """Return the rows that fit; a wrong value is a 400 naming the parameter."""
        if getattr(view, "detail", False):
            return queryset
        filtered: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return filtered


def refuse_unknown(request: Request, known: Iterable[str]) -> None:
    """Raise InvalidInput when the query string has a parameter that is not among `known`, or one without a value."""
    allowed = sorted(set(known))
    hint = f"Known here: {', '.join(allowed)}." if allowed else "This route takes none."
    unknown = {name: [f"is not a query parameter of this route. {hint}"] for name in request.query_params if name not in allowed}
    if unknown:
        names = ", ".join(sorted(unknown))[:200]
        raise InvalidInput(f"Unknown query parameter: {names}. {hint}", code="unknown_parameter", fields=unknown)
    # django-filter would take an empty value for none, and answer with every row
    own = NewestFirstPagination.parameters  # which say themselves what they take
    empty = [name for name, value in request.query_params.items() if not str(value).strip() and name not in own]
    if empty:
        sentence = "is empty; give a value or leave it out."
        raise InvalidInput(f"{', '.join(sorted(empty))}: {sentence}", fields={name: [sentence] for name in empty})


def filter_names(view: Any) -> frozenset[str]:
    """Return the names of the query parameters that a view's filterset understands."""
    filterset = getattr(view, "filterset_class", None)
    return frozenset(filterset.base_filters) if filterset else frozenset()
