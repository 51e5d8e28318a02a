"""The Snyk connector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from core.http.door import Auth
from integrations.choices import Category
from integrations.connectors.snyk import receiver, walk
from integrations.connectors.snyk.check import checked
from integrations.connectors.snyk.client import Client
from integrations.connectors.snyk.fields import SNYK_FIELDS, field_errors, place, sign_in
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.scans import ScanPage, ScanQuery, ScanSource
from integrations.contract.signin import OAuthApp
from integrations.contract.simulated import Message, Signed, Simulated, read_samples


class Snyk(Checker, ScanSource, Simulated):
    """An organisation at Snyk, whose issues are read, and which tells of issues that came and went."""

    key = "snyk"
    title = "Snyk"
    description = "Reads the issues of repositories that Snyk watches, and receives Snyk's webhooks."
    categories = (Category.SECURITY,)
    docs = "https://docs.snyk.io/snyk-api"
    fields = SNYK_FIELDS
    incremental = True
    samples = read_samples(__file__)
    key_help = "At Snyk: the field secret of the call that makes the webhook."

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check the address and the names of repositories."""
        return field_errors(config)

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth | OAuthApp:
        """Return the token, or how the portal signs in as a service account."""
        return sign_in(config, credentials)

    def client(self) -> Client:
        """Return Snyk's API behind the door."""
        return Client(self.door, place(self.config), self.config["api_version"], self.shown)

    def check(self) -> CheckResult:
        """Say who the portal is there, and which organisation it sees."""
        return checked(self.client(), self.config)

    def scan_pages(self, query: ScanQuery, cursor: Mapping[str, Any] | None = None) -> Iterator[ScanPage]:
        """Yield the issues of a repository's branch page by page. Raises OutboundError."""
        return walk.scan_pages(self.client(), query, self.config, cursor)

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check the signature over the body."""
        return receiver.verified(request, secrets)

    @classmethod
    def body_is_unique(cls, request: InboundRequest, verified: Verified) -> bool:
        """Say so of what tells when the project was tested; the id of the transport and the event are not signed."""
        return receiver.tells_its_time(request, verified.event)

    @classmethod
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return the names of event and transport, and the signature."""
        return receiver.signed(message, secret)

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return an event for each issue that is new or gone."""
        return receiver.events(request, verified.event)
