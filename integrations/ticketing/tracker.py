"""What a platform does for tickets. Its calls raise the door's errors, and TicketGone for a ticket that is not there any more."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, NamedTuple, Protocol

from core.errors import OutboundError
from integrations.contract.message import Message
from integrations.messages.tickets import TicketText, Words


class Ticket(NamedTuple):
    """A ticket there is: `id` for the platform, `name` and `url` for people."""

    id: str
    name: str = ""
    url: str = ""


class TicketGone(OutboundError):
    """The ticket was deleted, or is hidden from these credentials."""

    code = "ticket_gone"
    permanent = True


class Tracker(Protocol):
    """A platform, with the options of one webhook."""

    always_finds: ClassVar[bool]
    """Whether it is asked for a ticket of the same mark also before the first one is made: cheap where it can search."""
    settles_in: ClassVar[float]
    """Seconds until a ticket that was made is surely found."""

    def probe(self) -> str:
        """Return a sentence that says that tickets can be made; raises what is in the way. It makes none."""

    def find(self, mark: str, since: datetime | None) -> Ticket | None:
        """Return the oldest ticket that carries the mark; it was made after `since` where that is given."""

    def create(self, message: Message, mark: str, earlier: Words | None) -> Ticket:
        """Make a ticket that carries the mark."""

    def is_closed(self, id: str) -> bool:
        """Say whether the ticket is closed."""

    def has_comment(self, id: str, word: str) -> bool:
        """Say whether a comment of the ticket holds a word."""

    def comment(self, id: str, text: TicketText) -> None:
        """Add a comment."""

    def close(self, id: str) -> None:
        """Close the ticket, unless it is."""

    def reopen(self, id: str) -> None:
        """Open the ticket again, unless it is."""
