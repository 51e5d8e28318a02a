"""Builds in the admin."""

from __future__ import annotations

from builds.admin import imports

__all__ = ["imports"]
