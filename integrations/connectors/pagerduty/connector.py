"""PagerDuty: its webhooks, version 3 (https://developer.pagerduty.com/docs/webhooks-overview), and its Events API, version 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core import signing
from core.http.door import Auth, NoAuth
from core.signing import Scheme
from integrations.choices import Category
from integrations.connectors.pagerduty.fields import DESTINATION_FIELDS, FIELDS
from integrations.connectors.pagerduty.sending import Sending
from integrations.contract import payloads
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.outbound import CallDestination, Memory, Outcome, OutgoingEvent
from integrations.contract.payloads import at, json_object, moment, peek, text, whole
from integrations.contract.simulated import Message, Signed, Simulated, read_samples
from integrations.messages.message import message_of

_SCHEME = Scheme("x-pagerduty-signature", prefix="v1=", listed=True)
_ALERTS = ("incident.", "alert.")


class BodyKey(NoAuth):
    """The integration key, which stands in the body: nothing is put on a call, but it is masked wherever it would be shown."""

    def __init__(self, key: str) -> None:
        self._key = key

    def secrets(self) -> list[str]:
        """Return the key."""
        return [self._key]


class PagerDuty(Simulated, Checker, CallDestination):
    """A service of PagerDuty, which pages people and tells of incidents."""

    key = "pagerduty"
    title = "PagerDuty"
    description = "Pages the people on call, and tells of incidents that were triggered, acknowledged or resolved."
    categories = (Category.MONITORING,)
    docs = "https://developer.pagerduty.com/docs/webhooks-overview"
    fields = FIELDS
    destination_fields = DESTINATION_FIELDS
    samples = read_samples(__file__)
    key_help = "PagerDuty shows it once, after the webhook is saved."
    secret_is_given = True

    # --- Events API ---

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
        """Return the key."""
        return BodyKey(credentials["routing_key"])

    def check(self) -> CheckResult:
        """Resolve an alert that there is not, which tells nobody: PagerDuty has no question that could be asked with this key."""
        self._sending().post({"event_action": "resolve", "dedup_key": "repoguard:connection-test"})
        return CheckResult("PagerDuty takes events with this key. What it was sent opens no alert and pages nobody.")

    def send(self, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Open, change or resolve an alert, or send a change event."""
        return self._sending().send(message_of(event), event, options, memory)

    def _sending(self) -> Sending:
        return Sending(self.door, self.config, self.credentials["routing_key"], self.shown)

    # --- Webhooks ---

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check the signatures of version 1 over the body."""
        signing.check_mac(_SCHEME, secrets, request.headers, [request.body])
        event = peek(request.body).get("event")
        return Verified(text(request.headers.get("x-webhook-id")) or text(at(event, "id")), text(at(event, "event_type")))

    @classmethod
    def body_is_unique(cls, request: InboundRequest, verified: Verified) -> bool:
        """Say so of events with an id; that in the header is not signed."""
        return bool(text(at(peek(request.body), "event", "id")))

    @classmethod
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return the signature of version 1 over the body."""
        return Signed({"X-Webhook-Id": message.id, "X-PagerDuty-Signature": signing.mac_value(_SCHEME, secret, [message.body])})

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return what happened to an incident or alert as a changed alert, anything else under PagerDuty's own name."""
        payload = json_object(request.body)
        happened = moment(at(payload, "event", "occurred_at"))
        if not verified.event.startswith(_ALERTS):
            return [payloads.other("pagerduty", verified.event, payload, occurred_at=happened)]
        about = at(payload, "event", "data")
        # a note, a responder or a workflow names its incident; an incident is one itself
        about = about if isinstance(at(about, "status"), str) else at(about, "incident") or about
        return [payloads.alert_changed("pagerduty", verified.event.partition(".")[2], _alert(about), occurred_at=happened)]


def _alert(incident: Any) -> dict[str, Any]:
    number = whole(at(incident, "number"))
    return {
        "id": text(at(incident, "id")),
        **({} if number is None else {"number": number}),
        "key": text(at(incident, "incident_key") or at(incident, "alert_key")),
        "title": text(at(incident, "title") or at(incident, "summary"), 1000),
        "state": text(at(incident, "status")),
        "urgency": text(at(incident, "urgency")),
        "priority": text(at(incident, "priority", "summary")),
        "service": {"id": text(at(incident, "service", "id")), "name": text(at(incident, "service", "summary"))},
        "url": text(at(incident, "html_url"), 2000),
    }
