"""Admin pages of scans."""

from __future__ import annotations

from scans.admin import findings, inventories, policies, scans

__all__ = ["findings", "inventories", "policies", "scans"]
