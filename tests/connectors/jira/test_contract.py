"""Jira keeps to the contract, in both its forms."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.connectors.jira.connector import Jira
from integrations.contract.schema import validate_values
from tests.connectors.contract import ConnectorContract
from tests.connectors.door import answer

pytestmark = pytest.mark.once
SENT = (answer({"issues": []}), answer({"id": "10007", "key": "SEC-7", "self": "https://acme.atlassian.net/rest/api/3/issue/10007"}, 201))


class TestCloud(ConnectorContract):
    connector = Jira
    good_answers = (answer({"displayName": "RepoGuard", "timeZone": "Europe/Berlin"}),)
    sent_answers = SENT


class TestDataCenter(ConnectorContract):
    connector = Jira
    good_answers = (answer({"displayName": "RepoGuard"}),)
    sent_answers = SENT

    def values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        config = {"deployment": "data_center", "base_url": "https://jira.example.com/jira"}
        return validate_values(Jira, config, {"personal_token": "a-personal-access-token"})
