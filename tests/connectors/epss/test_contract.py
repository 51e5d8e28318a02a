from __future__ import annotations

from integrations.connectors.epss.connector import Epss
from tests.connectors.contract import ConnectorContract
from tests.connectors.door import Answer


class TestEpss(ConnectorContract):
    connector = Epss
    good_answers = (Answer(404), Answer(200, b""))

    def reads_no_body(self) -> bool:
        return True  # its check asks for headers
