"""The door: every outbound call of a connector goes through it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from core.http.door import Auth, NoAuth, Reply, Terms

EXPECTED = range(200, 300)


class Door:
    """Calls one integration's system on its terms. Cheap to make; used by one thread at a time."""

    def __init__(self, terms: Terms, auth: Auth | None = None) -> None:
        self.terms = terms
        self.auth = auth or NoAuth()

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        body: bytes | None = None,
        expected: Collection[int] = EXPECTED,
        cache_seconds: int = 0,
        repeatable: bool | None = None,
    ) -> Reply:
        """Make a call and return its answer."""
        raise NotImplementedError
