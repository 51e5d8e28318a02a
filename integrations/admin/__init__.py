"""The app's admin pages, one file for each area."""

from __future__ import annotations

from integrations.admin import endpoints, health, integrations, outbound_calls, repositories, sources

__all__ = ["endpoints", "health", "integrations", "outbound_calls", "repositories", "sources"]
