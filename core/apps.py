"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig

from core.event_types import catalogue
from core.events import EVENT_TYPES


class CoreConfig(AppConfig):
    """See the package's modules."""

    name = "core"
    verbose_name = "Events and system"

    def ready(self) -> None:
        """Declare the app's event types, work, housekeeping and schedule."""
        from core import housekeeping, pruning, schedules, work_registry  # noqa: PLC0415 - they need the models, which are loaded by now

        catalogue.register(EVENT_TYPES)
        work_registry.register(housekeeping.KIND)
        housekeeping.register(*pruning.JOBS)
        schedules.register(schedules.TICK)
