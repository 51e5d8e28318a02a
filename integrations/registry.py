"""The connectors there are: one line each."""

from __future__ import annotations

from core.errors import InvalidInput
from integrations.connectors.github.connector import GitHub
from integrations.connectors.http.connector import HttpConnector
from integrations.contract.connector import Connector

CONNECTORS: tuple[type[Connector], ...] = (
    GitHub,
    HttpConnector,
)  # fmt: skip
_BY_KEY = {connector.key: connector for connector in CONNECTORS}


def find(key: str) -> type[Connector]:
    """Return the connector of a key; raises InvalidInput for one that there is not."""
    if key not in _BY_KEY:
        raise InvalidInput.of("type", f"{key[:40]!r} is no connector; there are {', '.join(sorted(_BY_KEY))}.", code="unknown_connector")
    return _BY_KEY[key]


def with_capability(base: type[Connector]) -> list[type[Connector]]:
    """Return the connectors that implement a base, by key."""
    return sorted((connector for connector in CONNECTORS if issubclass(connector, base)), key=lambda connector: connector.key)
