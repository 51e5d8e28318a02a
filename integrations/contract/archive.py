"""Places that keep what the portal is about to delete."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from integrations.contract.connector import Connector


class Archive(Connector):
    """Takes files under names. The same name again replaces what is there, so that a repeat does no harm."""

    @classmethod
    @abstractmethod
    def keeps_logs(cls, config: Mapping[str, Any]) -> bool:
        """Say whether old delivery logs are brought there before they are deleted."""

    @abstractmethod
    def keep(self, name: str, content: bytes, content_type: str) -> None:
        """Store a file, whole or not at all. Raises OutboundError."""
