"""The GitHub connector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.http.door import Auth
from integrations.choices import Category
from integrations.connectors.github import meta, receiver
from integrations.connectors.github.actions import ACTIONS, DESTINATION_FIELDS, option_errors, tell, with_defaults
from integrations.connectors.github.check import checked
from integrations.connectors.github.client import Client
from integrations.connectors.github.deliveries import KEPT_DAYS, request_missed
from integrations.connectors.github.fields import GITHUB_FIELDS, SOURCE_FIELDS, SignIn, base_url, field_errors, sign_in
from integrations.connectors.github.products import Product, products_of
from integrations.connectors.github.scans import scan_pages
from integrations.connectors.github.telling import followed
from integrations.connectors.github.telling.told import Telling, Told
from integrations.connectors.github.walk import RunPage, RunQuery, run_pages
from integrations.contract.addresses import PublishedAddresses
from integrations.contract.backfill import Backfill, MissedQuery, MissedStep, Received
from integrations.contract.connector import BuildSource, Checker, CheckResult
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.outbound import CallDestination, DestinationRequest, Followed, Memory, Outcome, OutgoingEvent, Progress
from integrations.contract.reports import ReportedRun, RepositoryRef
from integrations.contract.scans import ScanPage, ScanQuery, ScanSource
from integrations.contract.signin import OAuthApp
from integrations.contract.simulated import Message, Signed, Simulated, read_samples


class GitHub(Checker, ScanSource, BuildSource, Backfill, PublishedAddresses, Simulated, CallDestination, Followed):
    """GitHub.com or an Enterprise Server, signed in to with a token, as an app, or not at all."""

    key = "github"
    title = "GitHub"
    description = "Reads GitHub's security alerts and the runs of GitHub Actions, receives GitHub's webhooks, and tells GitHub of events."
    categories = (Category.DEVELOPMENT, Category.SECURITY)
    docs = "https://docs.github.com/en/rest"
    fields = GITHUB_FIELDS
    source_fields = SOURCE_FIELDS
    destination_fields = DESTINATION_FIELDS
    backfill_needs = ("hook_of",)
    backfill_options = ("hook_of", "hook_id")
    backfill_days = KEPT_DAYS
    addresses_url = meta.URL
    addresses_snapshot = meta.SNAPSHOT
    samples = read_samples(__file__)
    key_help = "At GitHub: Settings → Webhooks, field Secret."

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check the private key and the address."""
        return field_errors(config, credentials)

    @classmethod
    def needs_packages(cls, config: Mapping[str, Any]) -> bool:
        """It is asked about them where GitHub's database of advisories is read."""
        return Product.PACKAGES in products_of(config)

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

    def scan_pages(self, query: ScanQuery, cursor: Mapping[str, Any] | None = None) -> Iterator[ScanPage]:
        """Yield the alerts of the products that are chosen; see integrations/connectors/github/scans.py for what is guaranteed."""
        anonymous = self.config["auth"] == SignIn.NONE
        return scan_pages(self.client(), query, products_of(self.config), anonymous=anonymous, cursor=cursor)

    def runs(self, repository: RepositoryRef, since: datetime | None = None) -> Iterator[ReportedRun]:
        """Yield the runs of Actions that were created since then, newest first; each run's earlier attempts follow its page."""
        for page in self.run_pages(repository.full_name, RunQuery(since=since)):
            yield from page.runs

    def run_pages(self, full_name: str, query: RunQuery, cursor: Mapping[str, Any] | None = None) -> Iterator[RunPage]:
        """Yield the runs that are asked for, page by page, from a page's cursor on. Raises OutboundError."""
        return run_pages(self.client(), full_name, query, cursor)

    def request_missed(self, query: MissedQuery, received: Received, cursor: Mapping[str, Any]) -> Iterator[MissedStep]:
        """Have GitHub send again what its webhook delivered, and what `received` does not know. Raises OutboundError."""
        return request_missed(self.client(), query, received, cursor, datetime.now(UTC))

    @classmethod
    def validate_options(cls, options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check what the action needs: a sign-in that may do it, and what its own fields say together."""
        return option_errors(options, config)

    @classmethod
    def chosen_by_events(cls, options: Mapping[str, Any]) -> str:
        """Return the option that names the repository, where it is left out."""
        return "" if "repository" in options else "repository"

    def send(self, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Do with the event what the webhook's options say; see integrations/connectors/github/actions.py."""
        is_app = self.config["auth"] == SignIn.APP
        return tell(Telling(self.client(), event, with_defaults(options), memory, is_app), self.config)

    def rehearse(self, event: OutgoingEvent, options: Mapping[str, Any]) -> list[DestinationRequest] | None:
        """Return what would be sent where GitHub would have to be asked first."""
        told = Told(self.client(), event, with_defaults(options))
        return ACTIONS[told.options["action"]].rehearsed(told)

    def poll(self, url: str, memory: Mapping[str, Any]) -> Progress:
        """Say how a run of a workflow stands that an event started."""
        return followed.poll(self.client(), url, memory)

    @classmethod
    def addresses_in(cls, document: Any) -> list[str]:
        """Return the networks of GitHub's webhooks."""
        return meta.hook_networks(document)

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check X-Hub-Signature-256; the delivery's id stays the same when GitHub sends it again."""
        return receiver.verified(request, secrets)

    @classmethod
    def body_is_unique(cls, request: InboundRequest, verified: Verified) -> bool:
        """Say so of bodies that tell the second in which a change was made; GitHub's id of the delivery is not signed."""
        return receiver.tells_its_time(request, verified.event)

    @classmethod
    def answer(cls, request: InboundRequest, verified: Verified) -> Mapping[str, Any] | None:
        """Answer a ping."""
        return receiver.pong(verified)

    @classmethod
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return the names of event and delivery, and X-Hub-Signature-256."""
        return receiver.signed(message, secret)

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return pushes, pull requests, alerts and CI runs as such, the rest as inbound.github.<event>."""
        return receiver.events(request, verified)
