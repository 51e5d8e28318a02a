"""Event types of the plumbing: what outsiders say in their own words."""

from __future__ import annotations

from core.event_types import EventType

EVENT_TYPES = [
    EventType(
        name="custom.*",
        title="Custom event",
        description="Anything a team or a script reports. The part after `custom.` and the data are free.",
        schema={"type": "object"},
        example={"environment": "production", "version": "2.4.1", "deployed_by": "alice"},
        postable=True,
    )
]
