"""What became of a mail that was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Refusal:
    """Why one recipient was not taken, while others were. `passing` ones are worth another try."""

    reason: str
    passing: bool = False


@dataclass(frozen=True)
class Sent:
    """A mail that at least one recipient gets."""

    refused: Mapping[str, Refusal] = field(default_factory=dict)
    external_id: str = ""
    """What the service calls it."""

    def passing(self) -> list[str]:
        """Return the recipients to be tried again."""
        return [address for address, refusal in self.refused.items() if refusal.passing]

    def named(self) -> str:
        """Return who was refused, and why."""
        return "; ".join(f"{address} ({refusal.reason})" for address, refusal in list(self.refused.items())[:5])
