"""The stores: django-storages' backends, made of an integration's values alone, whose sockets are the door's.

Each backend and its client library is loaded where it is used: together they take a second.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Protocol

from core.http.client import Door
from integrations.connectors.storage.fields import Place

Values = Mapping[str, Any]
Shown = Callable[[str], str]


class Store(Protocol):
    """Keeps objects by name. Each raises OutboundError."""

    def put(self, name: str, content: bytes, content_type: str) -> None:
        """Store an object, over one of this name."""

    def get(self, name: str) -> bytes:
        """Return an object."""

    def delete(self, name: str) -> None:
        """Remove an object."""


@contextlib.contextmanager
def opened(config: Values, credentials: Values, door: Door, shown: Shown) -> Iterator[Store]:
    """Open the store of a configuration; what goes wrong in the block is explained. Raises OutboundError."""
    module = import_module(f"integrations.connectors.storage.{Place(config['place']).value}")
    with module.opened(config, credentials, door, shown) as store:
        yield store
