"""The button "Scan now" on the pages of repositories and integrations."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect

from access.admin_base import show
from access.admin_base.buttons import Button
from access.principals import principal
from access.selectors import visible
from integrations.models import Integration, Repository, RepositorySource
from integrations.selectors.sources import working_sources
from scans.models import Scan
from scans.services.requesting import scan_now

MOST = 1000
"""So many scans one press queues."""


def _sources(request: HttpRequest, row: Repository | Integration) -> QuerySet[RepositorySource]:
    of = {"repository_id" if isinstance(row, Repository) else "integration_id": row.pk}
    return visible(working_sources().filter(**of), principal(request), path="repository__owner_id")


def _possible(request: HttpRequest, row: Any) -> bool:
    return _sources(request, row).exists()


def _scan(request: HttpRequest, row: Any) -> HttpResponseBase:
    count = scan_now(_sources(request, row).order_by("id")[:MOST])
    words = "One scan is queued" if count == 1 else f"{count} scans are queued"
    messages.success(request, f"{words}. Load this list anew to see how far they are; the page of a scan follows it by itself.")
    query = f"?q={row.full_name}" if isinstance(row, Repository) else f"?integration={row.pk}"
    return HttpResponseRedirect(show.admin_url(Scan, "changelist") + query)


SCAN_NOW = Button("scan", "Scan now", "radar", _scan, _possible)
