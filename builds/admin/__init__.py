"""Admin pages of the builds room."""

from __future__ import annotations

from builds.admin import builds, imports

__all__ = ["builds", "imports"]
