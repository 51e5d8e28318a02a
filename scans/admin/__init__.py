"""Admin pages of scans."""

from __future__ import annotations

from scans.admin import feeds, findings, inventories, policies, scans

__all__ = ["feeds", "findings", "inventories", "policies", "scans"]
