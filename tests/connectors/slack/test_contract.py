from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests.connectors.contract import PLANTED, ConnectorContract
from tests.connectors.door import Answer
from tests.connectors.senders import BY_NAME, Sent

pytestmark = pytest.mark.once


class TestSlack(Sent, ConnectorContract):
    sender = BY_NAME["slack"]
    good_answers: ClassVar[tuple[Answer, ...]] = (Answer(400, b"no_text"),)

    def planted(self) -> dict[str, Any]:
        return {"webhook_url": f"https://hooks.slack.com/services/T1/B1/{PLANTED}"}
