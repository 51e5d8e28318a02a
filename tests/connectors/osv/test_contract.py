from __future__ import annotations

import pytest

from integrations.connectors.osv.connector import Osv
from tests.connectors.contract import ConnectorContract
from tests.connectors.door import answer

pytestmark = pytest.mark.once


class TestOsv(ConnectorContract):
    connector = Osv
    good_answers = (answer({"results": [{"vulns": [{"id": "GHSA-462w-v97r-4m45", "modified": "2024-09-20T15:52:00Z"}]}]}),)
