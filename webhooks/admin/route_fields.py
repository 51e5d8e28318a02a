"""Where a webhook sends, in its form: a URL, or an integration with the options of its destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from access.principals import Principal
from integrations.contract.fields import Field
from integrations.contract.outbound import Destination
from integrations.contract.schema import form_fields, form_values
from integrations.registry import with_capability
from webhooks.destinations.checks import offered
from webhooks.models import Webhook

NO_INTEGRATION = "a URL of its own"
OFFERED = 500


class RouteFields:
    """The fields for one caller and webhook. Options are asked for only while an integration that takes them is chosen."""

    def __init__(self, who: Principal, webhook: Webhook | None) -> None:
        self.integrations = {str(row.id): row for row in offered(who)[:OFFERED]}
        stored = webhook.integration if webhook is not None else None
        self.stored_id = str(stored.id) if stored is not None else ""
        self.lent = stored is not None and not who.owns(stored.owner_id)
        """Of the admins: only they may change what is done with it."""
        if stored is not None and not self.lent:
            self.integrations.setdefault(self.stored_id, stored)  # an inactive one
        self.stored_name = stored.name if stored is not None else ""
        self.options: Mapping[str, Any] = webhook.destination if webhook is not None else {}

    def choices(self) -> list[tuple[str, str]]:
        """Return what can be chosen, by name."""
        rows = {id: f"{row.name} ({row.type}{', inactive' if row.status != 'active' else ''})" for id, row in self.integrations.items()}
        if self.lent:
            rows[self.stored_id] = f"{self.stored_name} (of the admins)"
        return [("", NO_INTEGRATION), *sorted(rows.items(), key=lambda pair: pair[1].lower())]

    def names(self) -> tuple[str, ...]:
        """Return the names of the option fields."""
        return tuple(prefix_of(connector.key) + field.name for connector in self._connectors() for field in self._asked(connector))

    def fields(self) -> dict[str, forms.Field]:
        """Return the option fields, by name."""
        made: dict[str, forms.Field] = {}
        for connector in self._connectors():
            present = self.options if self._stored_type() == connector.key else {}
            asked = self._asked(connector)
            fields = form_fields(asked, present, prefix=prefix_of(connector.key))
            for declared in asked:
                field = fields[prefix_of(connector.key) + declared.name]
                if not _depends_on_option(declared, connector.destination_fields):
                    field.widget.attrs |= {
                        "data-only-if": "integration",
                        "data-only-if-values": " ".join(self._fitting(connector, declared)),
                    }
            made |= fields
        return made

    def values(self, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the service takes."""
        chosen = cleaned.get("integration") or ""
        if not chosen:
            return {"integration": None, "destination": {}, "url": cleaned.get("url", "")}
        if self.lent and chosen == self.stored_id:
            return {}  # as it is
        integration = self.integrations[chosen]
        declared = next((connector.destination_fields for connector in self._connectors() if connector.key == integration.type), ())
        options, _ = form_values(declared, cleaned, prefix=prefix_of(integration.type), outer=integration.config)
        return {"integration": integration, "destination": options}

    def field_of(self, name: str, cleaned: Mapping[str, Any]) -> str:
        """Return the form's name of a field that the service names."""
        place, _, option = name.partition(".")
        if place != "destination":
            return name
        chosen = self.integrations.get(cleaned.get("integration") or "")
        return prefix_of(chosen.type) + option if chosen is not None and option else "integration"

    def _connectors(self) -> list[type[Destination]]:
        types = {row.type for row in self.integrations.values()}
        found = (connector for connector in with_capability(Destination) if connector.key in types)
        return [connector for connector in found if issubclass(connector, Destination)]

    def _stored_type(self) -> str:
        stored = self.integrations.get(self.stored_id)
        return stored.type if stored is not None else ""

    def _asked(self, connector: type[Destination]) -> list[Field]:
        """Return the options of a connector that any of the integrations takes."""
        declared = connector.destination_fields
        return [field for field in declared if _depends_on_option(field, declared) or self._fitting(connector, field)]

    def _fitting(self, connector: type[Destination], field: Field) -> list[str]:
        return [id for id, row in self.integrations.items() if row.type == connector.key and field.applies(row.config)]


def prefix_of(key: str) -> str:
    """Return what the option fields of a connector begin with."""
    return f"d_{key}_"


def _depends_on_option(field: Field, fields: Sequence[Field]) -> bool:
    return field.only_if is not None and field.only_if[0] in {other.name for other in fields}
