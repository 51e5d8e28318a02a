"""The GitHub connector as a destination, before a stub that knows GitHub's own description of its API."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from integrations.connectors.github.connector import GitHub
from integrations.contract.connector import Context
from integrations.contract.outbound import Outcome as Told
from integrations.contract.outbound import OutgoingEvent
from integrations.contract.schema import validate_options
from tests.connectors.contract import DictMemory
from tests.connectors.github.rest_stub import RestDoor, RestStub
from tests.connectors.told import GOLDEN_TYPES, digest, every_type, example, gate

API = "https://api.github.com"
SHA = "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"
TOKEN = {"api_url": f"{API}/", "auth": "token", "products": []}
APP = {"api_url": f"{API}/", "auth": "app", "app_id": "12", "installation_id": "34", "products": []}


@dataclass
class Teller:
    """Tells GitHub; `options` are a webhook's. The stub and the memory stay from one event to the next."""

    options: dict[str, Any]
    config: dict[str, Any] = field(default_factory=lambda: TOKEN)
    github: RestStub = field(default_factory=lambda: RestStub(url=API))
    memory: DictMemory = field(default_factory=DictMemory)

    def connector(self) -> GitHub:
        token = GitHub.auth(TOKEN, {"token": "github_pat_planted"})
        return GitHub(Context(uuid.UUID(int=1), "Mine", self.config, {"token": "github_pat_planted"}, RestDoor(self.github, token)))  # type: ignore[arg-type]

    def __call__(self, event: OutgoingEvent) -> Told:
        options = validate_options(GitHub, self.options, config=self.config)
        return self.connector().send(event, options, self.memory)

    def bodies(self, method: str = "POST") -> list[Any]:
        """Return what was sent."""
        return [call.body for call in self.github.calls if call.operation.startswith(f"{method} ")]


def golden_events() -> Iterator[tuple[str, OutgoingEvent]]:
    """Yield what every destination shows in golden files, each with a name."""
    yield from ((name, example(name)) for name in GOLDEN_TYPES)
    yield "digest", digest(every_type())
    yield "gate.huge", gate(2_000, reasons=30)
