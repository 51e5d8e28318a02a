"""Destinations: where notifications go. One delivery of the engine is one call of build() and judge(), or one of send()."""

from __future__ import annotations

import json
import uuid
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from integrations.contract.connector import Connector
from integrations.contract.fields import Field


@dataclass(frozen=True)
class OutgoingEvent:
    """The event that is delivered. `body` is the Standard Webhooks envelope, ready to be sent."""

    id: uuid.UUID
    type: str
    timestamp: datetime
    data: Mapping[str, Any] = field(repr=False)
    body: bytes = field(repr=False)
    attempt: int = 1
    link: str = ""
    """Page of the portal about it."""
    delivery_id: uuid.UUID | None = None
    """Who tells it, the same on each try; no two tries of a delivery run at once."""

    about: str = ""
    """`provider:owner/name` of the repository, registered here, to which it belongs; "" where there is none.

    Known to call destinations and previews. What `data` says of a repository anybody with a key may have written: it must not choose
    where an integration's credentials are used.
    """

    @property
    def holder(self) -> str:
        """Return by which name it reserves keys of the memory."""
        return str(self.delivery_id or self.id)


@dataclass(frozen=True)
class DestinationRequest:
    """The request that the engine sends. Its address passes the same guard as any webhook's."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    method: str = "POST"


@dataclass(frozen=True)
class DestinationAnswer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the parsed body, None where it is no JSON, or was cut off."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class FollowUpStart:
    """A run elsewhere to be followed to its end. Seconds."""

    url: str
    label: str = ""
    link: str = ""
    first_poll: float = 5.0
    give_up_after: float = 6 * 3600.0
    memory: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What an answer means. `error` says what happened and the likely fix, "" for success; `retry_after` in seconds."""

    ok: bool
    error: str = ""
    permanent: bool = False
    retry_after: float | None = None
    gone: bool = False
    """The destination is gone for good: its webhook is disabled."""
    confirmed: bool = True
    """False where it was accepted, but what became of it is not known (yet)."""
    follow_up: FollowUpStart | None = None
    status: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class NothingToTell(Exception):
    """Raised by build() and send() for an event that this platform need not hear of: the delivery succeeds, its log shows the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Progress:
    """What a poll found: a result such as passed or failed, or None where it still runs.

    `poll_in` (seconds) says when to ask again where the usual pauses would be too short: they begin with five seconds and grow to a minute.
    """

    result: str | None = None
    poll_in: float | None = None
    label: str = ""
    link: str = ""
    memory: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Remembered:
    """What is remembered under a key. `external_id` is "" where it is only reserved."""

    external_id: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Reserved(StrEnum):
    """What reserving a key tells who is about to make something under it."""

    FIRST = "first"
    """Nobody tried before: make it."""
    AGAIN = "again"
    """Somebody tried and did not say how it ended, maybe this very delivery before it was killed: look there before you make it."""
    BUSY = "busy"
    """Somebody else is at it now: return `telling.busy()`, and come back when the schedule says."""
    MADE = "made"
    """It is made: `recall` tells what."""


class Memory(Protocol):
    """What a destination made elsewhere, by key, kept for its webhook.

    For what must not be made twice: `reserve` the key, make it, `put` what was made. Each is stored at once, before it returns.
    """

    def get(self, key: str) -> str | None:
        """Return the external id remembered for a key."""

    def put(self, key: str, external_id: str, data: Mapping[str, Any] | None = None) -> None:
        """Remember an external id; a key that is set already keeps the first, a reserved one takes it."""

    def recall(self, key: str) -> Remembered | None:
        """Return what is remembered or reserved under a key."""

    def reserve(self, key: str, holder: str) -> Reserved:
        """Claim a key before something is made under it; `holder` is `event.holder`."""

    def replace(self, key: str, external_id: str, data: Mapping[str, Any] | None = None) -> None:
        """Remember this from now on, whatever was remembered before."""

    def latest(self, key: str, order: str, data: Mapping[str, Any] | None = None) -> Remembered:
        """Remember this unless something of a later `order` (compared as text) is remembered, and return what is then remembered.

        For states of which the last one counts: an older event that is told later must not put a newer one aside.
        `external_id` of what is returned is the order.
        """

    def forget(self, key: str) -> None:
        """Remember nothing under this key any more."""


class DestinationKind(StrEnum):
    """How the engine delivers to a destination."""

    HTTP = "http"
    """build() and judge(), on the event loop."""
    CALL = "call"
    """send(), in a thread."""


class Destination(Connector):
    """Takes events. `destination_fields` are asked for on the webhook, beside the integration's own fields.

    A connector that needs a token for some configurations only implements both bases below, and says by `destination_kind`
    which one a configuration takes; the engine asks it once for each batch.
    """

    destination_fields: ClassVar[tuple[Field, ...]] = ()

    @classmethod
    def validate_options(cls, options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return errors by field that the declared destination fields can't express; their own rules were checked before."""
        return {}

    @classmethod
    def chosen_by_events(cls, options: Mapping[str, Any]) -> str:
        """Return the name of the option that would say which repository is told, where it is left to the events; else "".

        An integration of the admins is lent to a team's webhook only where the option is given: the team could register any repository.
        """
        return ""

    def rehearse(self, event: OutgoingEvent, options: Mapping[str, Any]) -> list[DestinationRequest] | None:
        """Return what would be sent, for people to look at before; None where the engine finds it out by itself.

        Only destinations that use neither build() nor the door (mail, storage) have to say it themselves: as a request whose
        `method` and `url` name the transport, and whose `body` is the message.
        """
        return None

    @classmethod
    @abstractmethod
    def destination_kind(cls, config: Mapping[str, Any]) -> DestinationKind:
        """Return which of the two ways an integration with this configuration takes."""


class HttpDestination(Destination):
    """One request per event, made on the engine's event loop: all methods are pure, and fast."""

    signed: ClassVar[bool] = False
    """Whether the engine adds the Standard Webhooks headers, made with the webhook's secret."""

    takes_templates: ClassVar[bool] = False
    """Whether a payload template's body may take the place of the one that build() makes."""

    @classmethod
    def body_problems(cls, body: bytes) -> list[str]:
        """Return sentences about what the platform would refuse in a body that a template made: its limits. None by default."""
        return []

    @classmethod
    def destination_kind(cls, config: Mapping[str, Any]) -> DestinationKind:
        """Return HTTP."""
        return DestinationKind.HTTP

    @abstractmethod
    def build(self, event: OutgoingEvent, options: Mapping[str, Any]) -> DestinationRequest:
        """Return the request for an event. Raises InvalidInput where the event can't be told to this platform, NothingToTell where it
        need not be."""

    def judge(self, answer: DestinationAnswer) -> Outcome | None:
        """Say what an answer means where it differs from the status rules (a 200 that says no); None leaves it to them."""
        return None


class CallDestination(Destination):
    """Several calls, or a client library: runs in a bounded thread pool, 45 s for all its calls together."""

    @classmethod
    def destination_kind(cls, config: Mapping[str, Any]) -> DestinationKind:
        """Return CALL."""
        return DestinationKind.CALL

    @abstractmethod
    def send(self, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Tell the platform. May be called twice for one event: `memory` tells what was made before.

        Raises OutboundError; InvalidInput and NothingToTell as build() does.
        """


class Followed(Destination):
    """What it starts can be followed."""

    @abstractmethod
    def poll(self, url: str, memory: Mapping[str, Any]) -> Progress:
        """Ask once how it stands. Raises OutboundError."""
