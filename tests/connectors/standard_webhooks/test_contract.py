from __future__ import annotations

import pytest

from tests.connectors.contract import ConnectorContract
from tests.connectors.senders import BY_NAME, Sent

pytestmark = pytest.mark.once


class TestStandardWebhooks(Sent, ConnectorContract):
    sender = BY_NAME["standard_webhooks"]


class TestSvix(Sent, ConnectorContract):
    sender = BY_NAME["svix"]


class TestEd25519(Sent, ConnectorContract):
    sender = BY_NAME["ed25519"]
