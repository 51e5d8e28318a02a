"""Which IP addresses outbound calls may connect to.

Refused is everything that is not a public unicast address, in whichever form it is written: an IPv4 address inside an IPv6
one is judged as that IPv4 address. `EGRESS_ALLOW_CIDRS` opens inner networks, and then their IPv6 forms too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core.errors import AddressRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SETTING = "EGRESS_ALLOW_CIDRS"

# The first that matches names the rule. https://www.iana.org/assignments/iana-ipv4-special-registry
_RULES_V4 = [
    (IPv4Network(network), rule)
    for network, rule in (
        ("0.0.0.0/32", "the unspecified address"),
        ("0.0.0.0/8", "an address of 'this network'"),
        ("10.0.0.0/8", "a private address"),
        ("100.100.100.200/32", "a cloud metadata address"),
        ("100.64.0.0/10", "a carrier-grade NAT address"),
        ("127.0.0.0/8", "a loopback address"),
        ("168.63.129.16/32", "a cloud metadata address"),
        ("169.254.169.254/32", "a cloud metadata address"),
        ("169.254.170.2/32", "a cloud metadata address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "an IETF protocol address"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.88.99.0/24", "a 6to4 relay address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a benchmarking address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("255.255.255.255/32", "the broadcast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
]
# https://www.iana.org/assignments/iana-ipv6-special-registry
_RULES_V6 = [
    (IPv6Network(network), rule)
    for network, rule in (
        ("::/128", "the unspecified address"),
        ("::1/128", "a loopback address"),
        ("::/96", "an IPv4-compatible address"),
        ("64:ff9b:1::/48", "a local NAT64 address"),
        ("100::/64", "a discard address"),
        ("2001::/32", "a Teredo tunnel address"),
        ("2001:2::/48", "a benchmarking address"),
        ("2001:db8::/32", "a documentation address"),
        ("2001::/23", "an IETF protocol address"),
        ("2002::/16", "a 6to4 tunnel address"),
        ("3fff::/20", "a documentation address"),
        ("5f00::/16", "a segment routing address"),
        ("fd00:ec2::254/128", "a cloud metadata address"),
        ("fc00::/7", "a private (unique local) address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    )
]
_COMPATIBLE = IPv6Network("::/96")
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_GLOBAL_V6 = IPv6Network("2000::/3")


def check_address(address: str | Address, *, plain: bool = False) -> None:
    """Raise AddressRefused unless outbound calls may connect to `address`.

    With `plain` (an http:// URL) it must lie inside EGRESS_ALLOW_CIDRS, since nothing else protects what is sent.
    """
    try:
        ip = ipaddress.ip_address(address) if isinstance(address, str) else address
    except ValueError:
        raise AddressRefused(f"{str(address)[:60]!r} is not an IP address.") from None
    if isinstance(ip, IPv6Address) and ip.scope_id:
        raise AddressRefused(f"{ip} carries a zone id, which names an interface of this machine; it is never allowed.")
    if is_allowed(ip):
        return
    rule = refusal(ip)
    if rule:
        raise AddressRefused(f"{ip} is {rule}, and outbound calls may not reach it. To allow it, {_advice(ip)}.")
    if plain:
        raise AddressRefused(f"http:// is accepted only for hosts inside {SETTING}, and {ip} is not. Use https://, or {_advice(ip)}.")


def refusal(ip: Address) -> str:
    """Return what kind of forbidden address `ip` is ("a loopback address"), "" for a public one. Ignores the allow-list."""
    if isinstance(ip, IPv4Address):
        rule = next((rule for network, rule in _RULES_V4 if ip in network), "")
        return rule or ("" if ip.is_global else "not a public address")
    inner = _carried(ip)
    if ip in _MAPPED or ip in _NAT64:  # these reach the IPv4 address itself
        rule = refusal(inner) if inner else "not a public address"
        return f"the IPv6 form of {inner}, {rule}" if rule else ""
    rule = next((rule for network, rule in _RULES_V6 if ip in network), "")
    if not rule and (ip not in _GLOBAL_V6 or not ip.is_global):
        rule = "not a public address"
    inner_rule = refusal(inner) if rule and inner and ip in _CARRIERS else ""
    return f"{rule} carrying {inner}, {inner_rule}" if inner_rule else rule


def is_allowed(ip: Address) -> bool:
    """Say whether EGRESS_ALLOW_CIDRS contains `ip`; one that carries an IPv4 address is judged by that alone.

    Otherwise `::/0`, which is meant to open IPv6, would open every inner IPv4 address as well.
    """
    networks = _allowed(tuple(settings.EGRESS_ALLOW_CIDRS))
    if not networks:
        return False
    inner = _carried(ip) if isinstance(ip, IPv6Address) else None
    return any((inner or ip) in network for network in networks)


def allows_any() -> bool:
    """Say whether any inner network is open at all."""
    return bool(_allowed(tuple(settings.EGRESS_ALLOW_CIDRS)))


class _Carriers:
    """The IPv6 ranges whose addresses stand for an IPv4 host, apart from the mapped and NAT64 ones."""

    networks = (_COMPATIBLE, _LOCAL_NAT64, IPv6Network("2002::/16"), IPv6Network("2001::/32"))

    def __contains__(self, ip: IPv6Address) -> bool:
        return int(ip) > 1 and any(ip in network for network in self.networks)


_CARRIERS = _Carriers()


def _carried(ip: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address inside an IPv6 one: mapped, compatible, NAT64, 6to4, Teredo."""
    number = int(ip)
    if ip in _MAPPED or ip in _NAT64 or (ip in _COMPATIBLE and number > 1):
        return IPv4Address(number & 0xFFFFFFFF)
    if ip in _LOCAL_NAT64:  # RFC 6052, 2.2: a /48 prefix keeps the address around octet 8
        return IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)
    if ip.teredo:
        return ip.teredo[1]
    return ip.sixtofour


@lru_cache(maxsize=32)
def _allowed(words: tuple[str, ...]) -> tuple[Network, ...]:
    """Parse the allow-list; cached by value, so that a changed setting takes effect."""
    return tuple(_parsed(words))


def _parsed(words: Iterable[str]) -> Iterable[Network]:
    for word in words:
        try:
            network = ipaddress.ip_network(word.strip(), strict=False)
        except ValueError:
            raise ImproperlyConfigured(f"{SETTING}: {word!r} is not a network; write it like 10.0.0.0/8 or 127.0.0.1/32.") from None
        if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
            network = IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
        yield network


def _advice(ip: Address) -> str:
    inner = _carried(ip) if isinstance(ip, IPv6Address) else None
    shown = inner or ip
    return f"add {shown}/{shown.max_prefixlen} to {SETTING}"
