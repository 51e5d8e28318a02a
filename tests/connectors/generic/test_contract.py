from __future__ import annotations

import pytest

from tests.connectors.contract import ConnectorContract
from tests.connectors.senders import BY_NAME, Sent

pytestmark = pytest.mark.once


class TestGeneric(Sent, ConnectorContract):
    sender = BY_NAME["generic_sha1"]


class TestGenericTimed(Sent, ConnectorContract):
    sender = BY_NAME["generic_timed"]


class TestGenericToken(Sent, ConnectorContract):
    sender = BY_NAME["generic_token"]
