"""The Jira connector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.http.door import Auth, BadAnswer
from integrations.auth import BasicAuth, HeaderAuth
from integrations.choices import Category
from integrations.connectors.jira.client import Client
from integrations.connectors.jira.fields import JIRA_FIELDS, JIRA_OPTIONS, Deployment, option_errors
from integrations.connectors.jira.tracker import JiraTracker
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.outbound import CallDestination, Memory, Outcome, OutgoingEvent
from integrations.contract.payloads import text
from integrations.ticketing.rules import Rules
from integrations.ticketing.telling import tell


class Jira(Checker, CallDestination):
    """A site of Jira Cloud, or a Jira Data Center."""

    key = "jira"
    title = "Jira"
    description = "Keeps one issue for each finding, failed gate or broken build: makes it, comments it, closes it when it is fixed."
    categories = (Category.DEVELOPMENT, Category.SECURITY)
    docs = "https://developer.atlassian.com/cloud/jira/platform/rest/v3/"
    fields = JIRA_FIELDS
    destination_fields = JIRA_OPTIONS

    @classmethod
    def validate_options(cls, options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check the names in the two mappings."""
        return option_errors(options)

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
        """Return e-mail address and token for Cloud, the personal token for Data Center."""
        if config["deployment"] == Deployment.CLOUD:
            return BasicAuth(config["email"], credentials["api_token"])
        return HeaderAuth("Authorization", credentials["personal_token"], "Bearer")

    def client(self) -> Client:
        """Return Jira's API behind the door."""
        return Client(self.door, self.config, self)

    def check(self) -> CheckResult:
        """Ask whose credentials these are."""
        found = self.client().get("/myself", what="the account")
        name = text(found.get("displayName")) if isinstance(found, Mapping) else ""
        if not isinstance(found, Mapping) or not name:
            raise BadAnswer("Jira answered without the account's name. Check that the address is that of the site, and nothing behind it.")
        zone = text(found.get("timeZone"), 60)
        return CheckResult(f"Signed in to Jira as {self.shown(name)}.", {"account": self.shown(name), "time_zone": self.shown(zone)})

    def send(self, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Make, comment, close or open again the ticket of what the event is about."""
        return tell(JiraTracker(self.client(), options), event, Rules.of(options), memory)
