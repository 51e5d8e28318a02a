"""Admin pages of scans."""

from __future__ import annotations

from scans.admin import findings, policies, scans

__all__ = ["findings", "policies", "scans"]
