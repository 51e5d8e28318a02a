"""What a caller with a key may make of keys: none becomes wider than the caller's own, so that a leaked key can't free itself.

Sessions and commands have no key and pass; what their role allows is checked in access.services.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from django.conf import settings

from access.models import ApiKey
from access.principals import Principal
from access.scopes import granted
from core.errors import NotAllowed

Limits = dict[str, Any]
_RATE = frozenset(["rate_per_minute", "unlimited"])


def inherited(given: Limits, who: Principal) -> Limits:
    """Return a new key's limits, with those of the caller's key in place of empty ones."""
    own = who.key
    if own is None:
        return given
    rate = given["rate_per_minute"]
    if rate is None and not own.unlimited and own.rate_per_minute is not None:
        rate = min(own.rate_per_minute, settings.API_KEY_RATE)
    expires_at, networks = given["expires_at"] or own.expires_at, given["allowed_cidrs"] or list(own.allowed_cidrs)
    return given | {"expires_at": expires_at, "allowed_cidrs": networks, "rate_per_minute": rate}


def refuse_wider_key(key: ApiKey, who: Principal, verb: str) -> None:
    """Raise NotAllowed when `key` has scopes that the caller's key lacks, so that the caller may not touch it."""
    if who.key is None:
        return
    missing = sorted(granted(key.scopes) - who.scopes)
    if missing:
        raise NotAllowed(f"scopes: you can't {verb} a key with scopes that yours lacks: {', '.join(missing)}.")


def refuse_widening(values: Limits, who: Principal) -> None:
    """Raise NotAllowed, naming the field, when a key with `values` would reach further than the caller's key.

    Only the limits among `values` are looked at; rate_per_minute and unlimited are given together or not at all.
    """
    own = who.key
    if own is None:
        return
    if "expires_at" in values and own.expires_at is not None:
        expires_at = values["expires_at"]
        if expires_at is None or expires_at > own.expires_at:
            raise NotAllowed(f"expires_at: must be no later than that of your own key, {own.expires_at:%Y-%m-%dT%H:%M:%SZ}.")
    if "allowed_cidrs" in values and own.allowed_cidrs and not _within(values["allowed_cidrs"], own.allowed_cidrs):
        raise NotAllowed(f"allowed_cidrs: must name networks within those of your own key, {', '.join(own.allowed_cidrs)[:200]}.")
    if values.keys() >= _RATE:
        _refuse_faster(values["rate_per_minute"], values["unlimited"], own)


def _refuse_faster(rate: int | None, unlimited: bool, own: ApiKey) -> None:
    if own.unlimited:
        return
    most = own.rate_per_minute or settings.API_KEY_RATE
    if unlimited:
        raise NotAllowed(f"unlimited: your own key has a rate limit of {most} requests a minute, so no other may go without.")
    if (rate or settings.API_KEY_RATE) > most:
        raise NotAllowed(f"rate_per_minute: must be at most that of your own key, {most}.")


def changed_limits(row: ApiKey, changes: dict[str, Any]) -> Limits:
    """Return the limits that `changes` alter in `row`, those of the rate together."""
    altered = {name: value for name, value in changes.items() if value != getattr(row, name)}
    if altered.keys() & _RATE:
        altered |= {name: changes.get(name, getattr(row, name)) for name in _RATE}
    return altered


def limits_of(key: Any) -> Limits:
    """Return the limits of a key, or of the values of one to be, as the functions here take them."""
    return {name: getattr(key, name) for name in ("expires_at", "allowed_cidrs", *_RATE)}


def _within(inner: Iterable[str], outer: Iterable[str]) -> bool:
    """Say whether `inner` names networks and each lies in `outer`; no network at all means anywhere."""
    networks, wide = [[ipaddress.ip_network(cidr) for cidr in cidrs] for cidrs in (inner, outer)]
    four = list(ipaddress.collapse_addresses(one for one in wide if isinstance(one, ipaddress.IPv4Network)))
    six = list(ipaddress.collapse_addresses(one for one in wide if isinstance(one, ipaddress.IPv6Network)))
    return bool(networks) and all(
        any(map(network.subnet_of, four)) if isinstance(network, ipaddress.IPv4Network) else any(map(network.subnet_of, six))
        for network in networks
    )
