from __future__ import annotations

from typing import Any

import pytest

from integrations.connectors.snyk.connector import Snyk
from integrations.contract.schema import validate_values
from tests.connectors.contract import ConnectorContract
from tests.connectors.door import answer
from tests.connectors.senders import BY_NAME, Sent

pytestmark = pytest.mark.once
ORG = {"id": "689ce7f9-7943-4a71-b704-2ba575f01089", "type": "org", "attributes": {"name": "Acme", "slug": "acme"}}
SELF = {"data": {"id": "1", "type": "user", "attributes": {"name": "Ada", "username": "ada"}}}


class TestSnyk(Sent, ConnectorContract):
    sender = BY_NAME["snyk"]
    good_answers = (answer(SELF), answer({"data": [ORG], "links": {}}))


class TestServiceAccount(Sent, ConnectorContract):
    sender = BY_NAME["snyk"]
    good_answers = (answer(SELF), answer({"data": ORG}))

    def values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        config = {"auth": "oauth", "client_id": "portal", "org": ORG["id"], "region": "own", "base_url": "https://api.acme.example/rest"}
        return validate_values(Snyk, config, {"client_secret": "a-client-secret"})
