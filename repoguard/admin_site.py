"""The admin site."""

from __future__ import annotations

from unfold.sites import UnfoldAdminSite


class RepoGuardAdminSite(UnfoldAdminSite):
    """RepoGuard's admin."""
