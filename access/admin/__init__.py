"""Admin pages of the access room, and the base that the other rooms' pages stand on."""

from __future__ import annotations

from access.admin import audit_log, keys

__all__ = ["audit_log", "keys"]
