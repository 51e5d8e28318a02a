"""Admin pages of the builds room."""

from __future__ import annotations

from builds.admin import analysis, builds, imports

__all__ = ["analysis", "builds", "imports"]
