"""Writing builds."""

from __future__ import annotations

from builds.rows import BuildRow, Rejected
from builds.services.upsert import Scope, Stored, scope_of, store_builds

__all__ = ["BuildRow", "Rejected", "Scope", "Stored", "scope_of", "store_builds"]
