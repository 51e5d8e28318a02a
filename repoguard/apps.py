"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig


class RepoguardConfig(AppConfig):
    """See the package's modules."""

    name = "repoguard"
    verbose_name = "RepoGuard"
