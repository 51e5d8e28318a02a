"""Lists of logs: newest first, by a cursor on the key, without any COUNT. A log of millions pages like one of ten."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

AFTER, BEFORE = "after", "before"


class UncountedPaginator(Paginator):  # type: ignore[type-arg]
    """Says "one page": the list itself knows no more than whether there is a next one."""

    template_name = "portal/cursor_pagination.html"

    @property
    def count(self) -> int:
        """Return a constant, so that nobody counts the rows."""
        return 0


def _drop_unstorable(request: HttpRequest) -> None:
    """Take parameters with a NUL out of the address, and say so: no stored text holds one, and PostgreSQL refuses to look."""
    wrong = [name for name, values in request.GET.lists() if any("\0" in text for text in (name, *values))]
    if not wrong:
        return
    kept = request.GET.copy()
    for name in wrong:
        del kept[name]
    request.GET = kept  # type: ignore[assignment]
    shown = ", ".join(name.replace("\0", "␀") for name in wrong)[:100]
    messages.warning(request, f"{shown}: holds a character that no text has (NUL), so it was left out; type it again.")


class BarChangeList(ChangeList):
    """A list with its filters in a bar above it instead of a sheet beside it."""

    filter_specs: list[Any]
    filter_params: dict[str, Any]

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        _drop_unstorable(request)
        super().__init__(request, *args, **kwargs)
        self.bar_filters, self.has_filters, self.filter_specs = self.filter_specs, False, []
        self.bar_active = self.has_active_filters or bool(self.query)
        self.full_result_count = self.result_count  # nothing more is counted, so nothing more is said


class CursorChangeList(BarChangeList):
    """Shows `list_per_page` rows after (older than) or before (newer than) a key; one statement."""

    next_link: str | None = None
    previous_link: str | None = None

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Return the parameters that filter, without the cursor."""
        found: dict[str, Any] = super().get_filters_params(params)
        for name in (AFTER, BEFORE):
            found.pop(name, None)
        return found

    def get_query_string(self, new_params: dict[str, Any] | None = None, remove: list[str] | None = None) -> str:
        """Return a query for a link; other filters start at the newest row again."""
        kept, self.filter_params = self.filter_params, {k: v for k, v in self.filter_params.items() if k not in (AFTER, BEFORE)}
        try:
            return str(super().get_query_string(new_params, remove))
        finally:
            self.filter_params = kept

    def get_results(self, request: HttpRequest) -> None:
        """Read one page."""
        size = self.list_per_page
        after, before = self._key(request, AFTER), self._key(request, BEFORE)
        rows: QuerySet[Any] = self.queryset
        if after is not None:
            rows = rows.filter(pk__lt=after)
        elif before is not None:
            rows = rows.filter(pk__gt=before)
        backward = after is None and before is not None
        found = list(rows.order_by("pk" if backward else "-pk")[: size + 1])
        more = len(found) > size
        del found[size:]
        if backward:
            found.reverse()
        if found and (more or backward):
            self.next_link = self.get_query_string({AFTER: found[-1].pk})
        if found and (more if backward else after is not None):
            self.previous_link = self.get_query_string({BEFORE: found[0].pk})
        self.result_list = found
        self.result_count = self.full_result_count = len(found)
        self.show_full_result_count, self.show_admin_actions = False, False
        self.can_show_all, self.multi_page = False, False
        self.paginator = self.model_admin.get_paginator(request, self.queryset, size)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str]:
        """Return newest first, whatever the address says."""
        return ["-pk"]

    def _key(self, request: HttpRequest, name: str) -> Any:
        text = request.GET.get(name)
        if not text or not isinstance(text, str):
            return None
        try:
            return self.model._meta.pk.to_python(text)
        except (ValidationError, OverflowError):
            return None
