from __future__ import annotations

import pytest

from tests.connectors.contract import ConnectorContract
from tests.connectors.senders import BY_NAME, Sent

pytestmark = pytest.mark.once


class TestBitbucket(Sent, ConnectorContract):
    sender = BY_NAME["bitbucket"]
