"""The storage connector keeps to the contract where it speaks S3."""

from __future__ import annotations

import pytest

from integrations.connectors.storage.connector import PROBE, Storage
from tests.connectors.contract import ConnectorContract
from tests.connectors.door import Answer

pytestmark = pytest.mark.once


class TestStorage(ConnectorContract):
    connector = Storage
    good_answers = (Answer(200, b""), Answer(200, PROBE), Answer(204, b""))
    sent_answers = (Answer(200, b""),)
