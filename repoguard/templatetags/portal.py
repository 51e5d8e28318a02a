"""Template filters of the admin's pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import template
from django.utils.safestring import SafeString

from access.admin_base import show
from repoguard import unfold

register = template.Library()


@register.filter
def moment(at: datetime | None) -> SafeString:
    """Return how long ago a time is."""
    return show.moment(at)


@register.filter
def exact(at: datetime | None) -> SafeString:
    """Return a time to the second."""
    return show.exact(at)


@register.filter
def milliseconds(value: float | None) -> str:
    """Return a length of time as people read it: 12 ms, 1.4 s."""
    if value is None:
        return "–"
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


@register.filter
def crumbs(parts: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the parts of a page's heading in the words of the side bar."""
    return unfold.crumbs(parts)


@register.filter
def duration(seconds: float) -> str:
    """Return a length of time as people read it: 40 s, 12 min, 3.5 h."""
    minutes = seconds / 60
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
