from __future__ import annotations

import pytest

from tests.connectors.contract import ConnectorContract
from tests.connectors.door import answer
from tests.connectors.senders import BY_NAME, Sent

pytestmark = pytest.mark.once
ACCEPTED = answer({"status": "success", "message": "Event processed", "dedup_key": "k"}, 202)


class TestPagerDuty(Sent, ConnectorContract):
    sender = BY_NAME["pagerduty"]
    good_answers = (ACCEPTED,)
    sent_answers = (ACCEPTED,)
    repeats_are_harmless = True
