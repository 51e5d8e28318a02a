"""The address a request comes from, believing X-Forwarded-For only from our own proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from contextvars import ContextVar
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest

from core.errors import InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_current: ContextVar[str | None] = ContextVar("client_address", default=None)


def client_address(request: HttpRequest) -> str | None:
    """Return the caller's address, or None when the server gave none (a Unix socket).

    X-Forwarded-For is read from its end, where our own proxies wrote: the first entry that is not one of
    settings.TRUSTED_PROXIES is the caller. What a caller wrote itself stands before that and is not believed.
    """
    address = parse_address(request.META.get("REMOTE_ADDR", ""))
    trusted = _networks(tuple(settings.TRUSTED_PROXIES))
    if address is None or not inside(address, trusted):
        return str(address) if address else None
    for text in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        hop = parse_address(text)
        if hop is None:
            break
        address = hop
        if not inside(hop, trusted):
            break
    return str(address)


def from_trusted_proxy(request: HttpRequest) -> bool:
    """Say whether the other end of the connection is one of settings.TRUSTED_PROXIES."""
    address = parse_address(request.META.get("REMOTE_ADDR", ""))
    return address is not None and inside(address, _networks(tuple(settings.TRUSTED_PROXIES)))


def parse_address(text: str) -> Address | None:
    """Return the address in `text` (a port is dropped, an IPv4-mapped one is IPv4), or None."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def inside(address: Address, networks: Iterable[Network]) -> bool:
    """Say whether an address is in one of the networks."""
    return any(address.version == network.version and address in network for network in networks)


def parse_cidrs(values: Iterable[str]) -> list[str]:
    """Return networks in canonical form; raises InvalidInput naming the one that can't be read."""
    found = []
    for value in values:
        try:
            found.append(str(ipaddress.ip_network(value.strip(), strict=False)))
        except ValueError as error:
            raise InvalidInput.of("allowed_cidrs", f"{value[:60]!r} is not a network like 10.0.0.0/8 or 2001:db8::/32.") from error
    return sorted(set(found))


def is_allowed(address: str | None, cidrs: Iterable[str]) -> bool:
    """Say whether an address is in one of `cidrs`; an empty list allows any."""
    networks = _networks(tuple(cidrs))
    if not networks:
        return True
    parsed = parse_address(address or "")
    return parsed is not None and inside(parsed, networks)


def remember(address: str | None) -> None:
    """Keep the caller's address for the audit entries of this request."""
    _current.set(address)


def current() -> str | None:
    """Return the address of the caller being served, or None."""
    return _current.get()


@lru_cache(maxsize=1024)
def _networks(cidrs: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)
