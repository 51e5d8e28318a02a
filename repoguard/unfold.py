"""How the admin looks and what its side bar lists (django-unfold)."""

from __future__ import annotations

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "RepoGuard",
    "SITE_HEADER": "RepoGuard",
    "SITE_SYMBOL": "shield",
    "SHOW_HISTORY": False,
}
