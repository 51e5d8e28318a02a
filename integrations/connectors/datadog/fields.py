"""What Datadog's connector asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models

from integrations.contract.fields import Field, FieldKind


class Send(models.TextChoices):
    """What a webhook sends."""

    EVENTS = "events", "events, in the stream"
    METRICS = "metrics", "metrics, for dashboards"
    BOTH = "both", "both"


OTHER = "other"
# https://docs.datadoghq.com/getting_started/site/
_SITES = (
    ("datadoghq.com", "US1 (app.datadoghq.com)"),
    ("us3.datadoghq.com", "US3 (us3.datadoghq.com)"),
    ("us5.datadoghq.com", "US5 (us5.datadoghq.com)"),
    ("datadoghq.eu", "EU1 (app.datadoghq.eu)"),
    ("ap1.datadoghq.com", "AP1 (ap1.datadoghq.com)"),
    ("ap2.datadoghq.com", "AP2 (ap2.datadoghq.com)"),
    ("uk1.datadoghq.com", "UK1 (uk1.datadoghq.com)"),
    ("ddog-gov.com", "US1-FED (app.ddog-gov.com)"),
    ("us2.ddog-gov.com", "US2-FED (us2.ddog-gov.com)"),
    (OTHER, "another address"),
)

FIELDS: tuple[Field, ...] = (
    Field("site", "Site", FieldKind.CHOICE, choices=_SITES, default=_SITES[0][0], help="As in the address under which you sign in.",
          link="https://docs.datadoghq.com/getting_started/site/"),
    Field("address", "Address", FieldKind.URL, required=True, placeholder="https://datadog-proxy.example.com", only_if=("site", (OTHER,)),
          help="Of a proxy or stand-in for https://api.<site>; /api/v1/events and /api/v2/series are appended."),
    Field("api_key", "API key", secret=True, required=True, pattern="[A-Za-z0-9_-]{20,200}", max_length=200,
          example="0123456789abcdef0123456789abcdef",  # pragma: allowlist secret
          help="Organization settings, API keys. An application key is not needed.",
          link="https://docs.datadoghq.com/account_management/api-app-keys/"),
)  # fmt: skip

DESTINATION_FIELDS: tuple[Field, ...] = (
    Field("send", "What is sent", FieldKind.CHOICE, choices=tuple(Send.choices), default=Send.EVENTS.value,
          help="Metrics are in events of gates, scans, findings and builds only; of others none are sent."),
    Field("tags", "Further tags", FieldKind.WORDS, max_length=200, pattern=r"[A-Za-z][^,\s]*", placeholder="env:production",
          help="On everything sent, beside repository, branch and what the event is about."),
)  # fmt: skip


def address(config: Mapping[str, Any]) -> str:
    """Return the address of the API, without a slash at its end."""
    site = config.get("site", _SITES[0][0])
    return str(config["address"]).rstrip("/") if site == OTHER else f"https://api.{site}"
