"""The Microsoft Teams connector: cards in a channel or chat, by a workflow of Power Automate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from core.http.door import Auth
from integrations.choices import Category
from integrations.connectors.teams import answers, limits
from integrations.connectors.teams.layout import encoded, payload
from integrations.contract.outbound import DestinationAnswer, DestinationRequest, HttpDestination, Outcome, OutgoingEvent
from integrations.messages.message import message_of
from integrations.secret_address import ADDRESS, SecretAddress, address_fields, host_errors, is_of

_HOSTS = (
    "api.powerplatform.com", "logic.azure.com", "powerautomate.com", "flow.microsoft.com",
    "api.powerplatform.us", "logic.azure.us", "flow.microsoft.us", "api.powerplatform.cn", "logic.azure.cn",
)  # fmt: skip
_RETIRED = ("webhook.office.com", "outlook.office.com", "outlook.office365.com")
_HEADERS = {"Content-Type": "application/json; charset=utf-8"}


class Teams(HttpDestination):
    """A channel or chat of Teams that a workflow posts to."""

    key = "teams"
    title = "Microsoft Teams"
    description = "Posts cards to a channel or chat of Microsoft Teams, by a workflow."
    categories = (Category.COMMUNICATION,)
    docs = "https://learn.microsoft.com/en-us/connectors/teams/"
    fields = address_fields(
        "Microsoft",
        example="https://default.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/your-workflow"
        "/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=your-signature",
        help="Of a workflow “When a Teams webhook request is received” that anyone may trigger, whole, with sig=…",
        link="https://support.microsoft.com/en-us/office/create-incoming-webhooks-with-workflows-for-microsoft-teams-8ae491c7-0394-4861-ba59-055e33f75498",
    )
    takes_templates = True

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check where the address leads, and that it holds its signature."""
        url = credentials[ADDRESS]
        if is_of(url, _RETIRED):
            return {ADDRESS: ["is of an Office 365 connector, which Microsoft retired in May 2026; make a workflow, and take its URL."]}
        if errors := host_errors("Microsoft", _HOSTS, config, url):
            return errors
        if is_of(url, _HOSTS) and not parse_qs(urlsplit(url).query).get("sig"):
            return {ADDRESS: ["holds no signature (sig=…): copy it whole, of a workflow that “Anyone” may trigger."]}
        return {}

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
        """Return what is masked of the address."""
        return SecretAddress(credentials[ADDRESS])

    def build(self, event: OutgoingEvent, options: Mapping[str, Any]) -> DestinationRequest:
        """Return the message with its card."""
        return DestinationRequest(self.credentials[ADDRESS], _HEADERS, encoded(payload(message_of(event))))

    def judge(self, answer: DestinationAnswer) -> Outcome | None:
        """Say that a 202 is no confirmation, and what each refusal means."""
        return answers.judge(answer, self.shown)

    @classmethod
    def body_problems(cls, body: bytes) -> list[str]:
        """Return by what a message would be lost."""
        return limits.problems(body)
