from __future__ import annotations

from typing import Any

import pytest

from integrations.connectors.teams.connector import Teams
from tests.connectors.contract import PLANTED, ConnectorContract

pytestmark = pytest.mark.once


class TestTeams(ConnectorContract):
    connector = Teams

    def planted(self) -> dict[str, Any]:
        return {"webhook_url": f"https://x.environment.api.powerplatform.com/workflows/1/triggers/manual/paths/invoke?sig={PLANTED}"}
