"""The GitHub connector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.http.door import Auth
from integrations.choices import Category
from integrations.connectors.github import receiver
from integrations.connectors.github.check import checked
from integrations.connectors.github.client import Client
from integrations.connectors.github.fields import GITHUB_FIELDS, base_url, field_errors, sign_in
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.inbound import InboundEvent, InboundRequest, Receiver, Verified
from integrations.contract.signin import OAuthApp


class GitHub(Checker, Receiver):
    """GitHub.com or an Enterprise Server, signed in to with a token, as an app, or not at all."""

    key = "github"
    title = "GitHub"
    description = "Imports the runs of GitHub Actions, and receives GitHub's webhooks."
    categories = (Category.DEVELOPMENT, Category.SECURITY)
    docs = "https://docs.github.com/en/rest"
    fields = GITHUB_FIELDS

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check the private key and the address."""
        return field_errors(config, credentials)

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth | OAuthApp:
        """Return the token, or how the portal signs in as an app."""
        return sign_in(config, credentials)

    def client(self) -> Client:
        """Return GitHub's API behind the door."""
        return Client(self.door, base_url(self.config), self.shown)

    def check(self) -> CheckResult:
        """Say who the portal is there, and what is left of the limit."""
        return checked(self.client(), self.config, str(self.credentials.get("token", "")), self.shown)

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check X-Hub-Signature-256; the delivery's id stays the same when GitHub sends it again."""
        return receiver.verified(request, secrets)

    @classmethod
    def answer(cls, request: InboundRequest, verified: Verified) -> Mapping[str, Any] | None:
        """Answer a ping."""
        return receiver.pong(verified)

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return pushes, pull requests, alerts and CI runs as such, the rest as inbound.github.<event>."""
        return receiver.events(request, verified)
