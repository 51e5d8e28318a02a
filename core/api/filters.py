"""Query parameters: django-filter's, with unknown and empty ones refused instead of silently ignored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters import BooleanFilter, ChoiceFilter, DateFilter, Filter, FilterSet, IsoDateTimeFilter, UUIDFilter
from django_filters.fields import IsoDateTimeField
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request

from core.api.pagination import NewestFirstPagination
from core.errors import InvalidInput

if TYPE_CHECKING:  # settings.REST_FRAMEWORK names this module, so it is loaded before DRF's views are
    from rest_framework.views import APIView

_BOOLEANS = ("true", "false", "True", "False")
_SENTENCES = (
    (BooleanFilter, "must be true or false."),
    (UUIDFilter, "must be an id, such as 0192f0c1-2b3c-7d4e-8f50-61728394a5b6."),
    (IsoDateTimeFilter, "must be a time, such as 2026-11-20T09:30:00Z."),
    (DateFilter, "must be a day, such as 2026-11-20."),
)


class MomentField(IsoDateTimeField):
    """A moment in UTC: databases refuse offsets of sixteen hours, which ISO 8601 and Python allow."""

    def to_python(self, value: Any) -> datetime | None:
        """Return it; raises ValidationError, also for one that UTC has no year for."""
        found: datetime | None = super().to_python(value)
        try:
            return found.astimezone(UTC) if found else None
        except (OverflowError, ValueError) as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error


class MomentFilter(IsoDateTimeFilter):
    """Compares a time."""

    field_class = MomentField


class StrictFilterBackend(DjangoFilterBackend):
    """Applies the `filterset_class` of a view to its list; single objects are not filtered by query parameters."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        """Return the rows that fit; a wrong value is a 400 naming the parameter."""
        if getattr(view, "detail", False):
            return queryset
        filterset = self.get_filterset(request, queryset, view)
        return queryset if filterset is None else filtered(filterset)


def filtered(filterset: FilterSet) -> QuerySet[Any]:
    """Return the rows that fit; raises InvalidInput with what each wrong parameter must be."""
    wrong = {str(name): [_wanted(filterset.filters.get(name), str(sentences[0]))] for name, sentences in filterset.errors.items()}
    for name, one in filterset.filters.items():
        # django-filter takes any other word for none, and would answer with every row
        if isinstance(one, BooleanFilter) and filterset.data.get(name, "true") not in _BOOLEANS:
            wrong[name] = [_wanted(one, "")]
    if wrong:
        raise InvalidInput(" ".join(f"{name}: {sentences[0]}" for name, sentences in wrong.items()), fields=wrong)
    rows: QuerySet[Any] = filterset.qs
    return rows


def _wanted(one: Filter | None, otherwise: str) -> str:
    """Return what a parameter must be, or what Django's form said of it."""
    if isinstance(one, ChoiceFilter):
        return f"must be one of {', '.join(str(value) for value, _ in one.extra['choices'])}."
    return next((sentence for kind, sentence in _SENTENCES if isinstance(one, kind)), otherwise)


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
