"""Makes RepoGuard's admin site the default one, so that apps register with `admin.site` as usual."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class RepoGuardAdminConfig(AdminConfig):
    """django.contrib.admin with RepoGuard's site."""

    default_site = "repoguard.admin_site.RepoGuardAdminSite"
