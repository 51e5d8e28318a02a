from __future__ import annotations

from typing import Any

import pytest

from integrations.connectors.alertmanager.connector import Alertmanager
from tests.connectors.contract import NOW
from tests.connectors.senders import BY_NAME, fixture

pytestmark = pytest.mark.once
SENDER = BY_NAME["alertmanager"]
FIRING = {"status": "firing", "labels": {"alertname": "A"}, "startsAt": "2026-05-04T11:00:00Z", "fingerprint": "1"}


def dedupe_id(**changes: Any) -> str:
    request = SENDER.request(fixture("alertmanager", "group", **changes))
    return SENDER.receiver.verify(request, [SENDER.secrets[0]], {}, NOW).dedupe_id


def test_each_alert_of_a_group_is_an_event() -> None:
    firing, resolved = SENDER.events(fixture("alertmanager", "group"))
    assert {event.type for event in (firing, resolved)} == {"inbound.alert_changed"}
    assert (firing.data["action"], firing.repository) == ("firing", "acme/shop")
    alert = firing.data["alert"]
    assert (alert["title"], alert["severity"], alert["id"]) == ("5 % of requests fail", "critical", "c1f0")
    assert (alert["started_at"], alert["ended_at"]) == ("2026-05-04T11:00:00.123456+00:00", None)
    assert (resolved.data["action"], resolved.repository, resolved.data["alert"]["title"]) == ("resolved", "", "HighErrorRate")
    assert resolved.data["alert"]["ended_at"] == "2026-05-04T10:30:00+00:00"


def test_a_group_without_alerts_is_one_event() -> None:
    (event,) = SENDER.events(b'{"alerts": []}')
    assert event.type == "inbound.alertmanager.group"


def test_it_is_told_503_because_it_gives_up_at_429() -> None:
    assert Alertmanager.overload_status == 503


def test_the_same_alerts_are_the_same_delivery_and_others_are_not() -> None:
    other = FIRING | {"fingerprint": "2"}
    assert dedupe_id(alerts=[FIRING, other]) == dedupe_id(alerts=[other, FIRING])
    different = [
        {"alerts": [FIRING]},
        {"alerts": [other]},
        {"alerts": [FIRING | {"status": "resolved"}]},
        {"groupKey": "other", "alerts": [FIRING]},
        {"alerts": [FIRING | {"startsAt": "2026-05-04T12:00:00Z"}]},
    ]
    assert len({dedupe_id(**changes) for changes in different}) == len(different)


@pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer {}"])
def test_the_secret_is_taken_as_bearer_token_or_by_itself(form: str) -> None:
    assert SENDER.receiver.verify(SENDER.request(authorization=form.format(SENDER.secrets[0])), [SENDER.secrets[0]], {}, NOW)
