"""Admin pages of the webhooks room."""

from __future__ import annotations

from webhooks.admin import (
    deliveries,
    events,
    inbound_backfills,
    inbound_receipts,
    inbound_sources,
    payload_templates,
    replays,
    templates,
    webhooks,
)

__all__ = [
    "deliveries",
    "events",
    "inbound_backfills",
    "inbound_receipts",
    "inbound_sources",
    "payload_templates",
    "replays",
    "templates",
    "webhooks",
]
