from __future__ import annotations

from typing import Any, ClassVar

import pytest

from integrations.connectors.discord.connector import Discord
from tests.connectors.contract import PLANTED, ConnectorContract
from tests.connectors.door import Answer, answer

pytestmark = pytest.mark.once


class TestDiscord(ConnectorContract):
    connector = Discord
    good_answers: ClassVar[tuple[Answer, ...]] = (answer({"id": "1", "channel_id": "2", "name": "RepoGuard"}),)

    def planted(self) -> dict[str, Any]:
        return {"webhook_url": f"https://discord.com/api/webhooks/123456789012345678/{PLANTED}"}
