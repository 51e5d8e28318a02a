"""requests' way to the guarded connections of core/http/wire.py."""

from __future__ import annotations

import ssl
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter  # noqa: TID251 - this is the door

from core.http.wire import PlainPool, TlsPool

POOLS = 50
CONNECTIONS_PER_HOST = 10


class GuardedAdapter(HTTPAdapter):
    """requests' transport over guarded connections only: no proxy, no environment, no redirect, no retry."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=POOLS, pool_maxsize=CONNECTIONS_PER_HOST)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        """Make the pools."""
        self.poolmanager = urllib3.PoolManager(num_pools=connections, maxsize=maxsize, block=block, ssl_context=self._context)
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave it to the context, which verifies; requests would read certifi's file once more for each connection."""

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Refuse: a proxy would connect in our place, past the guard."""
        raise RuntimeError("the door uses no proxy")
