from __future__ import annotations

from typing import Any

import pytest

from integrations.connectors.jenkins.connector import Jenkins
from integrations.contract.schema import validate_options
from tests.connectors.contract import ConnectorContract
from tests.connectors.door import Answer, answer
from tests.connectors.senders import BY_NAME, Sent

pytestmark = pytest.mark.once
WHO = answer({"name": "repoguard", "anonymous": False}, X_Jenkins="2.462.3")
GWT = answer({"message": "Triggered jobs.", "jobs": {"shop": {"id": 12, "triggered": True, "url": "queue/item/12/"}}})


class TestJenkins(Sent, ConnectorContract):
    sender = BY_NAME["jenkins_basic"]
    good_answers = (WHO, GWT)
    sent_answers = (GWT,)


class TestJenkinsAddress(Sent, ConnectorContract):
    sender = BY_NAME["jenkins_address"]
    good_answers = (WHO, GWT)
    sent_answers = (Answer(201, b"", {"Location": "https://elsewhere.example.com/queue/item/12/"}),)

    def options(self) -> dict[str, Any]:
        options = {"trigger": "build_with_parameters", "job": "acme/shop", "parameters": {"COMMIT": "{commit}"}}
        return validate_options(Jenkins, options, config=self.values()[0])
