"""Receivers: webhooks that come in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from integrations.contract.connector import Connector


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
    occurred_at: datetime | None = None


@dataclass(frozen=True)
class Verified:
    """The request is authentic; `dedupe_id` names the delivery at the provider, "" where it has no id."""

    dedupe_id: str = ""
    event: str = ""
    """The provider's word for what happened."""


class Receiver(Connector):
    """Takes in the platform's webhooks. Both methods are pure: no network, no database."""

    @classmethod
    @abstractmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check the platform's signature against each secret. Raises core.errors.NotAllowed with the reason; never anything else."""

    @classmethod
    @abstractmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return what the authentic request means; an unknown event is `inbound.<provider>.<event>`. Raises InvalidInput."""
