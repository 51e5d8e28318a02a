"""Admin pages of the webhooks room."""

from __future__ import annotations

from webhooks.admin import deliveries, events, webhooks

__all__ = ["deliveries", "events", "webhooks"]
