"""What the parts of the delivery engine hand to one another."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from core.http.sender import Answer
from integrations.contract.outbound import FollowUpStart
from templates_app.payloads.content import Rendered
from templates_app.payloads.selectors import ActiveVersion
from webhooks.choices import ErrorClass, HoldReason, Outcome
from webhooks.destinations.binding import Bound, Route

LeaseKey = tuple[uuid.UUID, uuid.UUID]
"""Delivery id and token."""


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook as one batch sees it, its secrets decrypted once. Not for logs: `repr` shows the id only."""

    webhook_id: uuid.UUID
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    schedule: tuple[float, ...] = ()
    problem: str = ""
    """Why nothing can be sent, where its secrets can't be decrypted."""
    valid_until: datetime | None = None
    """When the first of several secrets ceases to sign."""
    route: Route | None = None
    """The integration it goes through, where it has one, and `bound` is that one's destination."""
    bound: Bound | None = None
    template_id: uuid.UUID | None = None
    """The payload template that it sends, where it has one, and `template` is the version of it that is active now."""
    template: ActiveVersion | None = field(default=None, repr=False)
    rendered: Rendered | None = field(default=None, repr=False)
    """What that made of one delivery's event."""


class Limits(NamedTuple):
    """What a webhook may have open at once, and how many deliveries a second."""

    webhook_id: uuid.UUID
    concurrency: int
    rate_limit: float | None
    version: str | None = None
    """Changes with every change of the webhook's row; None where the database has no such mark."""


class EventRow(NamedTuple):
    """A leased delivery with what it needs of its event."""

    delivery_id: uuid.UUID
    webhook_id: uuid.UUID
    event_id: uuid.UUID
    event_type: str
    attempts: int
    step: int
    trigger: str
    event_at: float
    """When it was published, in seconds since the epoch."""
    size: int
    request_id: str
    data: str | None
    """The payload as JSON text; None where it is too large to be read with every row."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A leased delivery, ready to be sent."""

    row: EventRow
    token: uuid.UUID
    target: Target
    body: bytes = field(repr=False)

    @property
    def delivery_id(self) -> uuid.UUID:
        """Return the id of the delivery."""
        return self.row.delivery_id

    @property
    def key(self) -> LeaseKey:
        """Return what names its lease: a delivery that was freed and claimed again has another."""
        return self.row.delivery_id, self.token

    @property
    def calls(self) -> bool:
        """Say whether its destination needs a thread."""
        return self.target.bound is not None and self.target.bound.calls


@dataclass(frozen=True, slots=True)
class Batch:
    """What a turn claimed, and in how many seconds something further is due."""

    claimed: list[Claimed]
    due_in: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means for its delivery and for its webhook; delays in seconds."""

    outcome: Outcome
    error_class: ErrorClass = ErrorClass.NONE
    error: str = ""
    delay: float | None = None
    hold: float | None = None
    hold_reason: HoldReason = HoldReason.NONE
    gone: bool = False
    exhausted: bool = False
    unhealthy: bool = False
    """Counts for the breaker: the endpoint is down or overloaded, rather than refusing this one delivery."""
    confirmed: bool = True
    """False for a success of which only the acceptance is known."""
    told: bool = True
    """False where nothing was sent, since there was nothing to tell: it says nothing about the endpoint."""


@dataclass(slots=True)
class Result:
    """An attempt that ended."""

    claimed: Claimed
    answer: Answer
    verdict: Verdict
    ended_at: datetime
    request_headers: dict[str, str]
    packed: bytes = field(default=b"", repr=False)
    """What the store writes of it, where that was prepared."""
    url: str = ""
    """What was called, as logs may show it, where that is not the webhook's own URL."""
    follow_up: FollowUpStart | None = None
