"""The filter bar above lists: selects, texts and times in one form. No filter counts or lists the values of a log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from core.ids import first_id_at


class ChoiceFilter(SimpleListFilter):
    """A choice among fixed values; a value that is not among them, from a link, works as well."""

    kind = "select"
    field: str
    nothing = "any"
    """What is shown where nothing was chosen."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the values and their labels."""
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with the chosen value."""
        return queryset.filter(**{self.field: self.value()}) if self.value() else queryset

    def has_output(self) -> bool:
        """Show it also where there is nothing to choose yet, so that the bar keeps its shape."""
        return True

    def options(self) -> list[tuple[str, str, bool]]:
        """Return (value, label, chosen) for the select."""
        known = [("", self.nothing), *((str(value), str(label)) for value, label in self.lookup_choices)]
        chosen = str(self.value() or "")
        if chosen not in [value for value, _ in known]:
            known.append((chosen, chosen))
        return [(value, label, value == chosen) for value, label in known]


def status_filter(choices: Iterable[tuple[Any, Any]], with_status: Callable[[Any, str], QuerySet[Any]]) -> type[ChoiceFilter]:
    """Return a filter by where a piece of work stands, which several columns say: a selector picks the rows."""

    class Filter(ChoiceFilter):
        title, parameter_name, field = "status", "status", "status"

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(str(value), str(label)) for value, label in choices]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return with_status(queryset, str(self.value())) if self.value() else queryset

    return Filter


class TimeFilter(SimpleListFilter):
    """One end of a range of time (UTC), as a range of the id, which is ordered by time."""

    kind = "datetime-local"
    lookup: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return nothing to choose from: it is typed."""
        return []

    def has_output(self) -> bool:
        """Show it always."""
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the range; a time that can't be read is said and left out."""
        text = self.value()
        if not text:
            return queryset
        try:
            at = dt.datetime.fromisoformat(text)
            return queryset.filter(**{self.lookup: first_id_at(at if at.tzinfo else at.replace(tzinfo=dt.UTC))})
        except (ValueError, OverflowError):
            messages.warning(request, f"{self.title}: {text[:40]} is not a time; write it like 2026-01-31T13:30 (UTC).")
            return queryset


class SinceFilter(TimeFilter):
    """Not before a time."""

    title = "from (UTC)"
    parameter_name = "since"
    lookup = "pk__gte"


class UntilFilter(TimeFilter):
    """Before a time."""

    title = "until (UTC)"
    parameter_name = "until"
    lookup = "pk__lt"


def choice_filter(field: str, title: str, choices: Any, parameter: str = "") -> type[ChoiceFilter]:
    """Return a filter of `field` for values and labels, or for what a callable returns when the page is shown."""

    class Filter(ChoiceFilter):
        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(str(value), str(label)) for value, label in (choices() if callable(choices) else choices) if value != ""]

    Filter.field, Filter.title, Filter.parameter_name = field, title, parameter or field
    return Filter
