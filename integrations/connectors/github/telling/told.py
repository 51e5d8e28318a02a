"""What every action gets: the event in words, the repository it is about, and what was done before."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from core.errors import InvalidInput
from integrations.connectors.github.client import Client
from integrations.contract.fields import Field
from integrations.contract.message import Message
from integrations.contract.outbound import DestinationRequest, Memory, NothingToTell, Outcome, OutgoingEvent
from integrations.contract.telling import busy
from integrations.messages.message import message_of

TEST_TYPE = "webhook.test"
_FULL_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True)
class Told:
    """An event, and what a webhook's options make of it."""

    client: Client
    event: OutgoingEvent
    options: Mapping[str, Any]

    @cached_property
    def message(self) -> Message:
        """Return what the event says."""
        return message_of(self.event)

    @cached_property
    def is_own(self) -> bool:
        """Say whether the target is the repository that the event is about, so that its branch and commit are there."""
        return "repository" not in self.options or self.options["repository"].lower() == self.message.repository.lower()

    @cached_property
    def repository(self) -> str:
        """Return the full name of the repository that is told. Raises InvalidInput where neither the event nor the option names one.

        What anybody with a key may publish does not choose where the integration's credentials are used: only a repository that is
        registered here, and to which the event belongs.
        """
        if "repository" in self.options:
            return str(self.options["repository"])
        said = self.message
        if not _FULL_NAME.fullmatch(said.repository):
            raise _untold("repository", "The event names no repository such as acme/shop: name one in the webhook's option repository.")
        if said.provider not in ("", "github"):
            raise _untold("repository", f"The event is about a repository at {said.provider}: name one at GitHub in the option repository.")
        if self.event.about.lower() != f"github:{said.repository}".lower():
            sentence = "which is not registered here at GitHub for the event's owner"
            raise _untold("repository", f"The event names {said.repository}, {sentence}: register it, or use the option repository.")
        return said.repository

    @property
    def path(self) -> str:
        """Return the repository's path of the API."""
        return f"/repos/{self.repository}"

    @cached_property
    def commit(self) -> str:
        """Return the commit that is told of. Raises InvalidInput where the event names none in full."""
        said = self.message
        if not said.full_commit:
            words = f"names the commit as {said.commit[:20]}" if said.commit else "names no commit"
            raise _untold("commit", f"The event {words}; GitHub wants all 40 digits. Have the scan sent with the commit in full.")
        return said.full_commit

    @property
    def order(self) -> str:
        """Return a text by which events are ordered as they came about."""
        return self.event.timestamp.isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Telling(Told):
    """An event on its way to GitHub."""

    memory: Memory
    is_app: bool = False
    """Signed in as a GitHub App."""


@dataclass(frozen=True)
class Action:
    """Something that GitHub can be told to do; a line in integrations/connectors/github/actions.py."""

    title: str
    fields: tuple[Field, ...]
    """Each `only_if` this action is chosen."""
    tell: Callable[[Telling], Outcome]
    problems: Callable[[Mapping[str, Any]], dict[str, list[str]]] = lambda options: {}
    """What the fields' own rules can't express: errors by field."""
    only_for_apps: bool = False
    rehearsed: Callable[[Told], list[DestinationRequest] | None] = lambda told: None
    """What a preview shows where tell() would first have to ask GitHub."""


def unsuited(telling: Telling, what: str) -> NothingToTell:
    """Return: `what` does not express such an event."""
    return NothingToTell(f"{what} is not changed by {telling.event.type}; the webhook's events need not have it.")


def telling_already(what: str) -> Outcome:
    """Return: somebody else is at it."""
    return busy(f"Another delivery is telling GitHub about {what} right now; this one follows.")


def _untold(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(sentence, fields={field: [sentence]})
