"""Where the portal shows an event."""

from __future__ import annotations

import uuid

from django.conf import settings

# written out: resolving it would load every page of the portal into the processes that deliver
EVENT_PAGE = "/admin/core/event/{id}/change/"


def event_link(event_id: uuid.UUID) -> str:
    """Return the address of the portal's page about an event."""
    return settings.PUBLIC_URL.rstrip("/") + EVENT_PAGE.format(id=event_id)
