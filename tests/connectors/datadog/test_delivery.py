"""From event to Datadog: the engine, the door, and Datadog's API as its own client knows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.datadog.stub import EVENTS, KEY, SERIES, DatadogStub
from tests.connectors.delivering import delivering, everything_logged, routed, tell
from tests.serving import serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


def test_an_event_and_its_metrics_arrive_once_and_the_log_shows_no_key(settings: Any) -> None:
    stub = DatadogStub.fresh()
    with serving(stub) as url, delivering(settings):
        config = {"site": "other", "address": url}
        both = routed("datadog", config, {"api_key": KEY}, ["gate.*", "repository.*"], send="both", tags=["env:production"])
        stub.failures = [(EVENTS, 500, f"not now, {KEY}".encode())]
        failed_first = tell("gate.failed")
        assert [path for path, _ in stub.got] == [SERIES, EVENTS]
        both.destination = {"send": "metrics"}
        both.save()
        nothing = tell("repository.pushed")
        stub.failures = [(SERIES, 403, b'{"errors": ["Forbidden"]}')]
        refused = tell("gate.passed")
    assert (failed_first.number, failed_first.outcome) == (2, "success")
    assert (nothing.outcome, nothing.error) == ("success", "Nothing was sent: there are no metrics in events of this type.")
    assert (refused.outcome, refused.error.split(".")[0]) == ("failed", "Datadog refused the API key (403)")
    assert len(stub.got) == 2
    assert KEY not in everything_logged()
