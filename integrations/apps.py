"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from core.event_types import catalogue
from integrations.events import EVENT_TYPES


class IntegrationsConfig(AppConfig):
    """See the package's modules."""

    name = "integrations"
    verbose_name = "Integrations"

    def ready(self) -> None:
        """Declare the app's event types, housekeeping and schedule."""
        from core import housekeeping, schedules  # noqa: PLC0415 - they need the models, which are loaded by now
        from integrations.checks import check_connectors  # noqa: PLC0415
        from integrations.health.housekeeping import JOBS as HEALTH_JOBS  # noqa: PLC0415
        from integrations.housekeeping import JOBS  # noqa: PLC0415
        from integrations.oauth.housekeeping import JOBS as SIGN_IN_JOBS  # noqa: PLC0415

        register(check_connectors)
        catalogue.register(EVENT_TYPES)
        housekeeping.register(*JOBS, *HEALTH_JOBS, *SIGN_IN_JOBS)
        schedules.register(schedules.Schedule("integrations: health checks and warnings", "integrations.health.tasks.tick"))
