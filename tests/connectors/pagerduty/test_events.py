from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.connectors.contract import NOW
from tests.connectors.senders import BY_NAME, fixture

pytestmark = pytest.mark.once
SENDER = BY_NAME["pagerduty"]


def test_an_incident_is_a_changed_alert() -> None:
    (event,) = SENDER.events(fixture("pagerduty", "incident_triggered"))
    assert (event.type, event.data["provider"], event.data["action"]) == ("inbound.alert_changed", "pagerduty", "triggered")
    alert = event.data["alert"]
    assert (alert["id"], alert["number"], alert["state"], alert["urgency"], alert["priority"]) == ("PGR0VU2", 2, "triggered", "high", "P1")
    assert alert["service"] == {"id": "PF9KMXH", "name": "Shop"}
    assert event.occurred_at == datetime(2026, 5, 4, 11, tzinfo=UTC)


def test_a_note_is_about_its_incident() -> None:
    (event,) = SENDER.events(fixture("pagerduty", "incident_annotated"))
    assert (event.data["action"], event.data["alert"]["id"]) == ("annotated", "PGR0VU2")
    assert event.data["alert"]["title"] == "A little bump in the road"


def test_the_ping() -> None:
    (event,) = SENDER.events(fixture("pagerduty", "ping"))
    assert event.type == "inbound.pagerduty.pagey.ping"


def test_without_the_header_the_events_id_names_the_delivery() -> None:
    request = SENDER.request(fixture("pagerduty", "incident_triggered"), x_webhook_id="")
    assert SENDER.receiver.verify(request, [SENDER.secrets[0]], {}, NOW).dedupe_id == "01BZ"
