"""What every ticket destination asks for on a webhook."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models

from integrations.contract.fields import Field, FieldKind
from integrations.contract.message import SEVERITIES, Message
from integrations.messages.tickets import severity_of


class OnFix(models.TextChoices):
    """What becomes of a ticket when its subject is settled."""

    CLOSE = "close", "Comment and close it"
    COMMENT = "comment", "Comment only"
    NOTHING = "nothing", "Nothing"


class OnReturn(models.TextChoices):
    """What becomes of a settled ticket when its subject is back."""

    REOPEN = "reopen", "Comment and open it again"
    NEW = "new", "Make a new ticket"
    COMMENT = "comment", "Comment only"


_FLOORS = (("critical", "critical only"), *((name, f"{name} and worse") for name in SEVERITIES[1:-1]), ("unknown", "all findings"))

TICKET_FIELDS: tuple[Field, ...] = (
    Field("min_severity", "Lowest severity", FieldKind.CHOICE, choices=_FLOORS, default="unknown",
          help="No ticket is made of a finding below it. Gates, builds and the like have none, and always get their ticket."),
    Field("branches", "Branches", FieldKind.WORDS, max_length=200, placeholder="main",
          help="Only what is told of these: names, or patterns such as release/*. Empty: all; then a finding is fixed when it is fixed on"
          " every branch that it was reported on. Name your default branches, and deleted ones keep no ticket open."),
    Field("on_fix", "When it is fixed", FieldKind.CHOICE, choices=tuple(OnFix.choices), default=OnFix.CLOSE.value,
          help="Or accepted, or passed: whatever settles what the ticket is about."),
    Field("on_return", "When it is back", FieldKind.CHOICE, choices=tuple(OnReturn.choices), default=OnReturn.REOPEN.value),
)  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """The options of a webhook that decide what becomes of its tickets."""

    min_severity: str = "unknown"
    branches: tuple[str, ...] = ()
    on_fix: str = OnFix.CLOSE.value
    on_return: str = OnReturn.REOPEN.value

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Rules:
        """Return the rules that a webhook's options say."""
        return cls(
            min_severity=options.get("min_severity", cls.min_severity),
            branches=tuple(options.get("branches", ())),
            on_fix=options.get("on_fix", cls.on_fix),
            on_return=options.get("on_return", cls.on_return),
        )

    def below_floor(self, message: Message) -> bool:
        """Say whether no ticket is made of it."""
        severity = severity_of(message)
        return severity in SEVERITIES and SEVERITIES.index(severity) > SEVERITIES.index(self.min_severity)

    def other_branch(self, message: Message) -> bool:
        """Say whether it is about a branch that no ticket is wanted for; what names no branch is about all."""
        if not self.branches or not message.branch:
            return False
        return not any(fnmatch.fnmatchcase(message.branch, pattern) for pattern in self.branches)
