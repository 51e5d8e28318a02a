"""Admin pages of the webhooks room."""

from __future__ import annotations

from webhooks.admin import deliveries, events, replays, templates, webhooks

__all__ = ["deliveries", "events", "replays", "templates", "webhooks"]
