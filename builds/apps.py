"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig


class BuildsConfig(AppConfig):
    """See the package's modules."""

    name = "builds"
    verbose_name = "Builds"

    def ready(self) -> None:
        """Declare the app's kinds of work."""
        from builds.analysis import work as analyses  # noqa: PLC0415 - it needs the models, which are loaded by now
        from core import work_registry  # noqa: PLC0415

        work_registry.register(analyses.KIND)
