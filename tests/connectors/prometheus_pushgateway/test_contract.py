from __future__ import annotations

import pytest

from integrations.connectors.prometheus_pushgateway.connector import PrometheusPushgateway
from tests.connectors.contract import ConnectorContract
from tests.connectors.door import Answer, answer

pytestmark = pytest.mark.once


class TestPrometheusPushgateway(ConnectorContract):
    connector = PrometheusPushgateway
    good_answers = (answer({"status": "success", "data": {"build_information": {"version": "1.5.1"}}}),)
    sent_answers = (Answer(200, b""),)
