"""Registers the app; keeps the role groups complete after each migrate."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def _ensure_roles(sender: AppConfig, **kwargs: Any) -> None:
    from access.roles import ensure_roles  # noqa: PLC0415 - models can be imported only once the apps are loaded

    ensure_roles()


class AccessConfig(AppConfig):
    """See the package's modules."""

    name = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        """Describe the authentication classes to the API schema, declare housekeeping, and keep the role groups."""
        from access import housekeeping as jobs  # noqa: PLC0415 - it needs the models, which are loaded by now
        from access.api import schema  # noqa: F401, PLC0415 - registers itself
        from core import housekeeping, schedules  # noqa: PLC0415 - as above

        housekeeping.register(*jobs.JOBS)
        schedules.register(schedules.Schedule("access: fold the counts of API usage", "access.usage.fold"))
        post_migrate.connect(_ensure_roles, sender=self, dispatch_uid="access.ensure_roles")
