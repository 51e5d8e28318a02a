"""The base of every connector, and of what it can do. A connector's capabilities are the bases it implements."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from core.http.client import Door
from core.http.door import Auth, NoAuth
from core.http.masking import Mask
from integrations.choices import Category
from integrations.contract.fields import Field
from integrations.contract.reports import ReportedRun, RepositoryRef
from integrations.contract.signin import OAuthApp

_READ = 20_000  # characters of a text that are looked at before it is shortened


@dataclass(frozen=True)
class Context:
    """What a connector works with: its configuration, its credentials, and the door to the other system."""

    integration_id: uuid.UUID
    name: str
    config: Mapping[str, Any]
    credentials: Mapping[str, Any] = field(repr=False)
    door: Door = field(repr=False)


@dataclass(frozen=True)
class ExtraHeaders:
    """Headers on every call; the values of `secret` ones are masked wherever they would be shown."""

    open: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)


class Connector(ABC):
    """One platform. A subclass is a folder of `integrations/connectors/` and a line in `integrations/registry.py`."""

    key: ClassVar[str]
    """Lower case words joined by underscores; `Integration.type`."""
    title: ClassVar[str]
    description: ClassVar[str]
    categories: ClassVar[tuple[Category, ...]]
    """The first is the default of new integrations."""
    docs: ClassVar[str] = ""
    """The provider's page about its API."""
    fields: ClassVar[tuple[Field, ...]] = ()
    example: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """{"config": …, "credentials": …, "destination": …} to show, over what the fields' own examples give."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.config = context.config
        self.credentials = context.credentials
        self.door = context.door

    def shown(self, text: str, limit: int = 200) -> str:
        """Return what the other system says as it may stand in a sentence: one short line, without this integration's secrets."""
        own = [part for value in self.credentials.values() for part in (value.values() if isinstance(value, Mapping) else [value])]
        mask = Mask([part for part in own if isinstance(part, str)] + self.door.auth.secrets())
        line = " ".join(mask.text(text[:_READ], _READ, cut=len(text) > _READ).split())
        return line if len(line) <= limit else f"{line[: limit - 1]}…"

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return errors by field that the declared fields can't express; the declared rules were checked before."""
        return {}

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth | OAuthApp:
        """Return what puts the credentials on every call of the door, or how the portal signs in by OAuth2.

        Called with checked values each time a door is made: cheap and pure.
        """
        return NoAuth()

    @classmethod
    def extra_headers(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> ExtraHeaders:
        """Return the configured headers of every call of the door, also of those through the gateway."""
        return ExtraHeaders()


@dataclass(frozen=True)
class CheckResult:
    """What a connection test found: one sentence, and details such as the account or the granted scopes, without secrets."""

    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    credentials_expire_at: datetime | None = None


class Checker(Connector):
    """Can test its connection."""

    @abstractmethod
    def check(self) -> CheckResult:
        """Make the cheapest call that proves address and credentials. Raises OutboundError that says what to mend."""


class BuildSource(Connector):
    """Has builds."""

    @abstractmethod
    def runs(self, repository: RepositoryRef, since: datetime | None = None) -> Iterator[ReportedRun]:
        """Yield the runs of a repository, newest first. Raises OutboundError."""
