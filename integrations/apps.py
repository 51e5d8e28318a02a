"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig

from core.event_types import catalogue
from integrations.events import EVENT_TYPES


class IntegrationsConfig(AppConfig):
    """See the package's modules."""

    name = "integrations"
    verbose_name = "Integrations"

    def ready(self) -> None:
        """Declare the app's event types."""
        catalogue.register(EVENT_TYPES)
