"""Receivers: webhooks that come in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from integrations.contract.connector import Connector
from integrations.contract.fields import Field
from integrations.contract.reports import ReportedRun


@dataclass(frozen=True)
class InboundRequest:
    """A request as it arrived. Header names in lower case; the body to the byte."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    received_at: datetime | None = None


@dataclass(frozen=True)
class InboundEvent:
    """What a request means inside the portal. `type` is an event type; `dedupe_id` the provider's id of the delivery."""

    type: str
    data: Mapping[str, Any]
    repository: str = ""
    """Full name (owner/name) at the provider, where the event is about one."""
    occurred_at: datetime | None = None
    runs: tuple[ReportedRun, ...] = ()
    """CI runs that it tells of: they become builds of `repository`, whether or not that is known here."""


@dataclass(frozen=True)
class Verified:
    """The request is authentic; `dedupe_id` names the delivery at the provider, "" where it has no id."""

    dedupe_id: str = ""
    event: str = ""
    """The provider's word for what happened."""


class Receiver(Connector):
    """Takes in the platform's webhooks. Its methods are pure: no network, no database."""

    source_fields: ClassVar[tuple[Field, ...]] = ()
    """What a source of this provider has to say beside its secret, such as the header that holds a signature."""
    needs_secret: ClassVar[bool] = True
    secret_is_given: ClassVar[bool] = False
    """The platform makes the secret itself (Slack, Stripe), so that none is generated here."""
    log_fields: ClassVar[tuple[str, ...]] = ()
    """Where its JSON is known to carry the log of a build, as dotted paths such as build.log: these are not stored."""
    key_help: ClassVar[str] = ""
    """Where the platform takes or shows the secret, for whoever enters it."""
    overload_status: ClassVar[int] = 429
    """What the platform is told when the portal has no room: some give up for ever at a 4xx and want 503."""

    @classmethod
    @abstractmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check the platform's signature against each secret, by the bytes of the body.

        `secrets` are the current one and, during a rotation, the previous; `config` holds the source's fields. Raises
        core.errors.NotAllowed with the reason, whatever the headers and the body hold; never anything else.
        """

    @classmethod
    def body_is_unique(cls, request: InboundRequest, verified: Verified) -> bool:
        """Say whether the authentic body says when or under which id something happened, so that no other happening has the same bytes.

        For platforms that sign the body, but not the id of the delivery: who caught a request can send it again under another id, and
        what such a body became is not repeated. False wherever the same bytes may be meant twice (a ping, a repeated alert). Raises
        InvalidInput where the event is not signed and does not fit such a body: taken as something else it would not come as itself.
        """
        return False

    @classmethod
    def secret_problem(cls, secret: str, config: Mapping[str, Any]) -> str:
        """Return what is wrong with the form of a new secret, in words that follow its name and never show it; "" where nothing is."""
        return ""

    @classmethod
    def answer(cls, request: InboundRequest, verified: Verified) -> Mapping[str, Any] | None:
        """Return the JSON that the platform waits for in the answer to this request, such as Slack's challenge; mostly nothing."""
        return None

    @classmethod
    @abstractmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return what the authentic request means; an unknown event is `inbound.<provider>.<event>`. Raises InvalidInput."""
