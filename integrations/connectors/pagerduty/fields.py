"""What PagerDuty's connector asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models

from integrations.contract.fields import Field, FieldKind


class Region(models.TextChoices):
    """Where the account lives."""

    US = "us", "United States (app.pagerduty.com)"
    EU = "eu", "Europe (app.eu.pagerduty.com)"
    OTHER = "other", "another address"


class Others(models.TextChoices):
    """What becomes of events that neither open nor resolve anything."""

    CHANGE = "change", "a change event, which pages nobody"
    ALERT = "alert", "an alert of its own, which somebody must resolve"
    NOTHING = "nothing", "nothing"


_ADDRESSES = {Region.US: "https://events.pagerduty.com", Region.EU: "https://events.eu.pagerduty.com"}

FIELDS: tuple[Field, ...] = (
    Field("region", "Service region", FieldKind.CHOICE, choices=tuple(Region.choices), default=Region.US.value,
          help="As in the address under which you sign in.", link="https://support.pagerduty.com/main/docs/service-regions"),
    Field("address", "Address", FieldKind.URL, required=True, placeholder="https://events.example.com", only_if=("region", ("other",)),
          help="Of a proxy or stand-in; /v2/enqueue is appended."),
    Field("routing_key", "Integration key", secret=True, required=True, pattern="[A-Za-z0-9]{32}", max_length=32,
          example="0123456789abcdef0123456789abcdef",  # pragma: allowlist secret
          help="32 characters: of an integration “Events API V2” on the service that is to be alerted (Service, Integrations).",
          link="https://support.pagerduty.com/main/docs/services-and-integrations"),
)  # fmt: skip

DESTINATION_FIELDS: tuple[Field, ...] = (
    Field("min_severity", "Open alerts from", FieldKind.CHOICE, default="info",
          choices=(("info", "info"), ("warning", "warning"), ("error", "error"), ("critical", "critical")),
          help="What is less severe opens no alert. What resolves one is always sent."),
    Field("others", "Other events", FieldKind.CHOICE, choices=tuple(Others.choices), default=Others.CHANGE.value,
          help="Pushes, pull requests, digests, tests: what neither opens nor resolves an alert."),
)  # fmt: skip


def address(config: Mapping[str, Any]) -> str:
    """Return the address of the Events API, without a slash at its end."""
    return _ADDRESSES.get(config.get("region", Region.US)) or str(config["address"]).rstrip("/")
