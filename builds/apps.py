"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig

from integrations.reported import register_run_taker


class BuildsConfig(AppConfig):
    """See the package's modules."""

    name = "builds"
    verbose_name = "Builds"

    def ready(self) -> None:
        """Declare the app's work and housekeeping, and take the runs that other rooms report.

        Posted `build.*` events are only delivered, not stored: storing publishes such events itself, so a sink would answer
        its own events, and one run would be told twice. Who wants a build kept posts it to /api/v1/builds.
        """
        from builds.analysis import work as analyses  # noqa: PLC0415 - they need the models, which are loaded by now
        from builds.choices import ImportKind  # noqa: PLC0415 - they need the models, which are loaded by now
        from builds.housekeeping import JOBS  # noqa: PLC0415
        from builds.importing import github, travistorrent, work  # noqa: PLC0415
        from builds.services.reports import take_runs  # noqa: PLC0415
        from core import housekeeping, work_registry  # noqa: PLC0415

        work.register_handler(ImportKind.TRAVISTORRENT, travistorrent.work_off)
        work.register_handler(ImportKind.GITHUB, github.work_off)
        work_registry.register(work.KIND)
        work_registry.register(analyses.KIND)
        housekeeping.register(*JOBS)
        register_run_taker(take_runs)
