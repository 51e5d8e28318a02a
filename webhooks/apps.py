"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig

from core.event_types import catalogue
from integrations.signals import configured
from webhooks.events import EVENT_TYPES


class WebhooksConfig(AppConfig):
    """See the package's modules."""

    name = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        """Declare the app's event types, housekeeping and schedule."""
        from core import housekeeping, queue, schedules, work_registry  # noqa: PLC0415 - they need the models, which are loaded by now
        from templates_app.parts import register_webhook_rules  # noqa: PLC0415
        from webhooks import replaying  # noqa: PLC0415
        from webhooks.destinations import follow  # noqa: PLC0415
        from webhooks.housekeeping import JOBS  # noqa: PLC0415
        from webhooks.inbound import backfill_start, backfilling, interpret, provider_addresses, pruning  # noqa: PLC0415
        from webhooks.services.marks import on_configured  # noqa: PLC0415
        from webhooks.services.values import field_errors  # noqa: PLC0415

        register_webhook_rules(field_errors)
        configured.connect(on_configured, dispatch_uid="webhooks.marks")
        catalogue.register(EVENT_TYPES)
        housekeeping.register(*JOBS, *pruning.JOBS, *backfill_start.JOBS, *provider_addresses.JOBS)
        work_registry.register(follow.KIND)
        work_registry.register(replaying.KIND)
        work_registry.register(interpret.KIND)
        work_registry.register(backfilling.KIND)
        drains = schedules.Schedule("webhooks: keep the drains running", "webhooks.tasks.ensure_drains", queue.DELIVERIES, at_start=True)
        schedules.register(drains)
