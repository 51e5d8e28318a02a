"""From event to alert: the engine, the door, and PagerDuty as it is documented."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.delivering import delivering, everything_logged, routed, tell
from tests.connectors.pagerduty.stub import KEY, PagerDutyStub
from tests.serving import serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


def test_an_alert_opens_and_closes_and_the_log_says_what_happened(settings: Any) -> None:
    stub = PagerDutyStub.fresh()
    with serving(stub) as url, delivering(settings):
        routed("pagerduty", {"region": "other", "address": url}, {"routing_key": KEY}, ["gate.*", "repository.*"], others="nothing")
        stub.failures = [(503, {}, f"not now, {KEY}".encode())]
        opened = tell("gate.failed")
        assert list(stub.alerts.values()) == ["open"]
        quiet, closed, again = tell("repository.pushed"), tell("gate.passed"), tell("gate.passed")
        stub.failures = [(400, {}, b'{"status": "invalid event", "errors": ["\'routing_key\' is wrong"]}')]
        refused = tell("gate.failed")
    assert list(stub.alerts.values()) == ["resolved"]
    assert [one.outcome for one in (opened, quiet, closed, again, refused)] == ["success", "success", "success", "success", "failed"]
    assert (opened.number, opened.status_code) == (2, 202)
    assert quiet.error == "Nothing was sent: the event neither opens nor resolves an alert, and “Other events” is set to nothing."
    assert again.error == "Nothing was sent: its alert is resolved already."
    assert refused.error.startswith("PagerDuty refused the event: 'routing_key' is wrong.")
    assert KEY not in everything_logged()
