"""The connector of Datadog. It needs an API key only; https://docs.datadoghq.com/api/latest/."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from core.http.door import Auth, BadAnswer
from integrations.auth import HeaderAuth
from integrations.choices import Category
from integrations.connectors.datadog import layout, metrics
from integrations.connectors.datadog.fields import DESTINATION_FIELDS, FIELDS, Send, address
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.outbound import CallDestination, Memory, NothingToTell, Outcome, OutgoingEvent
from integrations.contract.payloads import peek
from integrations.contract.telling import Once, busy, once
from integrations.messages.message import message_of

EVENTS, SERIES, VALIDATE = "/api/v1/events", "/api/v2/series", "/api/v1/validate"
ACCEPTED = 202


class Datadog(Checker, CallDestination):
    """An organisation at Datadog."""

    key = "datadog"
    title = "Datadog"
    description = "Takes events into its stream, and metrics for dashboards and monitors."
    categories = (Category.MONITORING, Category.ANALYTICS)
    docs = "https://docs.datadoghq.com/api/latest/events/"
    fields = FIELDS
    destination_fields = DESTINATION_FIELDS

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
        """Return the header with the key."""
        return HeaderAuth("DD-API-KEY", credentials["api_key"])

    def check(self) -> CheckResult:
        """Ask whether the key is valid."""
        try:
            said = self.door.request("GET", address(self.config) + VALIDATE).json()
        except BadAnswer as error:
            raise self._explained(error) from error
        if not isinstance(said, dict) or said.get("valid") is not True:
            raise BadAnswer("Datadog does not call this API key valid. Check the key, and that the site is that of its organisation.")
        return CheckResult("Datadog knows this API key.", {"site": self.config["site"]})

    def send(self, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Send an event, metrics or both. Raises NothingToTell where there are no metrics to send."""
        wanted, further, now = options.get("send", Send.EVENTS), options.get("tags", ()), datetime.now(UTC)
        message = message_of(event)
        calls: list[tuple[str, str, dict[str, Any]]] = []
        if wanted in (Send.METRICS, Send.BOTH) and (found := metrics.series(event, message, further, now)):
            calls.append(("metrics", SERIES, {"series": found}))
        if wanted in (Send.EVENTS, Send.BOTH):
            calls.append(("event", EVENTS, layout.event(message, further, now)))
        if not calls:
            raise NothingToTell("there are no metrics in events of this type.")
        made = {
            what: once(memory, f"{what}:{event.id}", event, partial(self._post, path, body), else_none=what == "metrics")
            for what, path, body in calls
        }
        if Once.BUSY in made.values():
            return busy("Another delivery of this event is at it just now; this one follows.")
        details = {what: result.value for what, result in made.items()}
        status = ACCEPTED if {Once.NOW, Once.AGAIN} & set(made.values()) else None
        return Outcome(ok=True, confirmed=Once.UNKNOWN not in made.values(), status=status, details=details)

    def _post(self, path: str, body: dict[str, Any]) -> None:
        try:
            said = self.door.request("POST", address(self.config) + path, json=body).json()
        except BadAnswer as error:
            raise self._explained(error) from error
        if isinstance(said, dict) and (errors := said.get("errors")):
            raise BadAnswer(f"Datadog took it, but names errors: {self.shown(str(errors))}.", status_code=202, permanent=True)

    def _explained(self, error: BadAnswer) -> BadAnswer:
        """Return the error with Datadog's own words; 403 is also what a key of another site gets."""
        errors = peek(error.body).get("errors")
        said = self.shown("; ".join(one for one in errors if isinstance(one, str))) if isinstance(errors, list) else ""
        if error.status_code == 403:
            sentence = "Datadog refused the API key (403). Check that it is not revoked, and that the site is that of its organisation."
        elif error.status_code in (400, 413) and said:
            sentence = f"Datadog refused what was sent ({error.status_code}): {said.rstrip('.')}."
        else:
            return error
        return BadAnswer(sentence, status_code=error.status_code, body=error.body, permanent=True)
