"""One time limit for all calls of one delivery."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, TypeVar

from core.http.client import Door
from core.http.door import CallFailed, Reply, Terms
from integrations.contract.connector import Connector

C = TypeVar("C", bound=Connector)
SHORTEST_CALL = 0.1


class LimitedDoor(Door):
    """A door whose calls together take no longer than `seconds` from now."""

    def __init__(self, door: Door, seconds: float) -> None:
        super().__init__(door.terms, door.auth)
        self._whole = door.terms
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def request(self, method: str, url: str, **more: Any) -> Reply:
        """Make a call in what is left of the time; raises CallFailed (code timeout) when nothing is."""
        self.terms = self.leaving()
        return super().request(method, url, **more)

    def leaving(self) -> Terms:
        """Return the terms with what is left: waiting for a token or a limit counts, too. Raises CallFailed."""
        left = self._until - time.monotonic()
        if left < SHORTEST_CALL:
            raise CallFailed(f"The calls for this delivery took more than {self._seconds:.0f} s in all.", code="timeout")
        timeout = min(self._whole.timeout, left)
        return replace(self._whole, timeout=timeout, connect_timeout=min(self._whole.connect_timeout, timeout))


def limited(connector: C, seconds: float) -> C:
    """Return the connector anew, with a door that has so many seconds for all its calls."""
    return type(connector)(replace(connector.context, door=LimitedDoor(connector.door, seconds)))
