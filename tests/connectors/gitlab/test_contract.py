from __future__ import annotations

from typing import Any

import pytest

from integrations.connectors.gitlab.connector import GitLab
from integrations.contract.outbound import OutgoingEvent
from integrations.contract.schema import validate_options
from tests.connectors import contract, told
from tests.connectors.contract import ConnectorContract
from tests.connectors.door import answer
from tests.connectors.senders import BY_NAME, Sent

pytestmark = pytest.mark.once
WHO = answer({"id": 1, "username": "project_1_bot"})
PIPELINE = answer({"id": 47, "status": "created", "web_url": "https://gitlab.com/acme/shop/-/pipelines/47"}, 201)


@pytest.fixture(autouse=True)
def _of_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell of a commit: of other events GitLab is told nothing."""

    def event(**more: Any) -> OutgoingEvent:
        return told.example("gate.failed") if not more else told.outgoing("gate.failed", dict(told.example("gate.failed").data), **more)

    monkeypatch.setattr(contract, "event", event)


class TestGitLabToken(Sent, ConnectorContract):
    sender = BY_NAME["gitlab_token"]
    good_answers = (WHO,)
    sent_answers = (answer({"id": 1, "status": "failed"}, 201),)
    repeats_are_harmless = True  # GitLab keeps one status of a name; the same again changes nothing


class TestGitLabSigning(Sent, ConnectorContract):
    sender = BY_NAME["gitlab_signing"]
    good_answers = (WHO,)
    sent_answers = (PIPELINE,)

    def options(self) -> dict[str, Any]:
        return validate_options(GitLab, {"action": "pipeline", "project": "acme/shop"}, config=self.values()[0])
