"""Deliveries that a platform made and that never arrived: found in its own list, and sent again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from integrations.contract.inbound import Receiver

Received = Callable[[Collection[str]], Collection[str]]
"""Returns those of some ids of deliveries that were taken in."""


@dataclass(frozen=True)
class MissedQuery:
    """What was sent since a moment to a source: its options (the connector's source fields), and the addresses it receives at."""

    options: Mapping[str, Any]
    addresses: tuple[str, ...]
    since: datetime


@dataclass(frozen=True)
class MissedStep:
    """What was done since the last step. From `cursor` on another process goes on as if it had been this one."""

    cursor: Mapping[str, Any] = field(default_factory=dict)
    looked_at: int = 0
    requested: int = 0
    gone: int = 0
    """The platform would not send these again: they are too old."""
    more: bool = False
    """The last step of those that are taken at once: there may be further ones, for another look."""


class Backfill(Receiver):
    """Can have its platform send again what was missed."""

    backfill_needs: ClassVar[tuple[str, ...]] = ()
    """The source fields that must be filled in for it."""
    backfill_options: ClassVar[tuple[str, ...]] = ()
    """The source fields that serve nothing else: forms ask for them apart."""
    backfill_days: ClassVar[int]
    """For so long the platform can send a delivery again."""

    @abstractmethod
    def request_missed(self, query: MissedQuery, received: Received, cursor: Mapping[str, Any]) -> Iterator[MissedStep]:
        """Ask for what `received` does not know, step by step, each of few calls; {} is the cursor of the beginning.

        What a step asked for may be asked for again by whoever goes on from the cursor before it: its receiver knows an id that it has
        had. Raises OutboundError; what was done before it was yielded.
        """
