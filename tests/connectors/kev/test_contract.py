from __future__ import annotations

from integrations.connectors.kev.connector import Kev
from tests.connectors.contract import ConnectorContract


class TestKev(ConnectorContract):
    connector = Kev

    def reads_no_body(self) -> bool:
        return True  # its check asks for headers
