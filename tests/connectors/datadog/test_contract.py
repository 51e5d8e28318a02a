from __future__ import annotations

import pytest

from integrations.connectors.datadog.connector import Datadog
from tests.connectors.contract import ConnectorContract
from tests.connectors.door import answer

pytestmark = pytest.mark.once


class TestDatadog(ConnectorContract):
    connector = Datadog
    good_answers = (answer({"valid": True}),)
    sent_answers = (answer({"status": "ok", "event": {"id": 1}}, 202),)
