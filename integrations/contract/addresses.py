"""Platforms that publish which addresses their webhooks come from."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from integrations.contract.inbound import Receiver


@dataclass(frozen=True)
class Snapshot:
    """A copy of the platform's list that ships with the connector; `dated` is the day of it, YYYY-MM-DD."""

    dated: str
    networks: tuple[str, ...]


class PublishedAddresses(Receiver):
    """Its platform says where its webhooks come from."""

    addresses_url: ClassVar[str]
    """Where the list is read, as JSON and without credentials."""
    addresses_snapshot: ClassVar[Snapshot]

    @classmethod
    @abstractmethod
    def addresses_in(cls, document: Any) -> list[str]:
        """Return the networks in the list, which may hold anything. Raises InvalidInput."""
