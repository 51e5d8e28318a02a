"""The app's admin pages, one file for each area."""

from __future__ import annotations

from integrations.admin import repositories

__all__ = ["repositories"]
