"""The admin's page of the event catalogue: what can be subscribed to and posted, with schema and example."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from access.admin_base.show import pretty
from core.event_types import EventType, catalogue


def event_types_view(request: HttpRequest) -> HttpResponse:
    """Show every declared event type, by family."""
    families = [
        {"name": family, "types": [_shown(event_type) for event_type in types]}
        for family, types in groupby(catalogue.all(), key=lambda event_type: event_type.family)
    ]
    context = {**admin.site.each_context(request), "title": "Event types", "families": families}
    return TemplateResponse(request, "portal/event_types.html", context)


def _shown(event_type: EventType) -> dict[str, Any]:
    return {
        "name": event_type.name,
        "title": event_type.title,
        "description": event_type.description,
        "strict": event_type.strict,
        "operational": event_type.operational,
        "by_name": event_type.by_name,
        "recorded": event_type.recorded,
        "postable": event_type.postable,
        "schema": pretty(event_type.schema),
        "example": pretty(event_type.example),
    }
