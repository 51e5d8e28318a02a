"""The guard of outbound calls: which URLs may be stored and called, and which addresses may be connected to.

A URL is checked when it is saved and again when it is used; the address is checked once more on the very socket that is about
to connect (core/http/connector.py), so that a name which changes its address between check and use gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urlsplit

import idna

from core.errors import AddressRefused, InvalidInput
from core.http.addresses import SETTING, Address, allows_any, check_address, is_allowed, refusal

__all__ = ["MAX_URL", "ParsedTarget", "check_address", "check_url", "clean_url", "is_allowed", "refusal"]

MAX_URL = 2000
_SCHEMES = {"http": 80, "https": 443}
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\u200b-\u200f\u202a-\u202e\ufeff]")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]{1,40}")
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"
_LOOPBACKS = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))


@dataclass(frozen=True, slots=True)
class ParsedTarget:
    """A checked URL: `url` in plain ASCII as it will be requested; `address` when the host is a literal IP address."""

    url: str = field(repr=False)
    scheme: str
    host: str
    port: int
    address: Address | None


def clean_url(text: str, field: str = "url") -> str:
    """Return `text` as it may be stored, else raise InvalidInput on `field` with the rule and the setting that allows it."""
    try:
        return check_url(text, field).url
    except AddressRefused as refused:
        raise InvalidInput.of(field, refused.message, code=refused.code) from None


def check_url(text: str, field: str = "url") -> ParsedTarget:
    """Check everything that can be known without the network.

    Raises InvalidInput (on `field`) for a URL that can't be used, AddressRefused for a literal or well-known inner address.
    """
    parts = _split(text, field)
    port = _port(parts, field)
    address, host = _host(parts, field)
    plain = parts.scheme == "http"
    if address is not None:
        check_address(address, plain=plain)
    else:
        _check_name(host, plain=plain)
    shown = f"[{host}]" if isinstance(address, ipaddress.IPv6Address) else host
    netloc = shown if port == _SCHEMES[parts.scheme] else f"{shown}:{port}"
    query = f"?{quote(parts.query, safe=_PATH_SAFE + '?')}" if parts.query else ""
    url = f"{parts.scheme}://{netloc}{quote(parts.path, safe=_PATH_SAFE) or '/'}{query}"
    if len(url) > MAX_URL:
        raise InvalidInput.of(field, f"longer than {MAX_URL} characters.")
    return ParsedTarget(url, parts.scheme, host, port, address)


def _split(text: str, field: str) -> SplitResult:
    if len(text) > MAX_URL:
        raise InvalidInput.of(field, f"longer than {MAX_URL} characters.")
    if _FORBIDDEN.search(text):
        raise InvalidInput.of(field, "contains a space, a backslash or an invisible character; percent-encode it or remove it.")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise InvalidInput.of(field, "not a valid URL; write it like https://example.com/hook.") from None
    if parts.scheme not in _SCHEMES:
        raise InvalidInput.of(field, "must start with https:// (or http:// for an allowed inner host).")
    if not text[len(parts.scheme) :].startswith("://") or not parts.netloc:
        raise InvalidInput.of(field, "has no host; write it like https://example.com/hook.")
    if "@" in parts.netloc:
        raise InvalidInput.of(field, "must not contain a user name or password; use a header instead.")
    if "#" in text:
        raise InvalidInput.of(field, "must not contain a fragment (#…): it is never sent.")
    return parts


def _port(parts: SplitResult, field: str) -> int:
    tail = parts.netloc.rpartition("]")[2].partition(":")[2]
    if tail and not (tail.isascii() and tail.isdigit() and len(tail) <= 5 and 1 <= int(tail) <= 65535):
        raise InvalidInput.of(field, "the port must be a number from 1 to 65535.")
    return int(tail) if tail else _SCHEMES[parts.scheme]


def _host(parts: SplitResult, field: str) -> tuple[Address | None, str]:
    """Return the host as a literal address, or as a lower-case ASCII name."""
    netloc = parts.netloc
    if netloc.startswith("["):
        literal = netloc[1:].partition("]")[0]
        if "%" in literal:
            raise InvalidInput.of(field, "an IPv6 address with a zone id (%…) can't be used.")
        try:
            address = ipaddress.IPv6Address(literal)
        except ValueError:
            raise InvalidInput.of(field, "the part in brackets is not an IPv6 address.") from None
        return address, address.compressed
    host = netloc.partition(":")[0]
    if not host:
        raise InvalidInput.of(field, "has no host; write it like https://example.com/hook.")
    name = _ascii(host, field)
    number = _ipv4(name, field)
    if number is not None:
        return number, str(number)
    if len(name) > 253 or not _HOST.fullmatch(name):
        raise InvalidInput.of(field, "the host is not a valid name.")
    return None, name


def _ascii(host: str, field: str) -> str:
    """Return the name as DNS asks for it; look-alike letters, digits and dots become what they stand for (UTS 46)."""
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise InvalidInput.of(field, "the host is not a valid international name.") from None


def _looks_numeric(name: str) -> bool:
    last = name.rstrip(".").rpartition(".")[2]
    return bool(re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last))


def _ipv4(name: str, field: str) -> ipaddress.IPv4Address | None:
    """Read all forms that resolvers take for an IPv4 address (127.1, 2130706433, 0x7f.1, 0177.0.0.1), as browsers do."""
    if not _looks_numeric(name):
        return None
    parts = name.removesuffix(".").split(".")
    try:
        numbers = [_number(part) for part in parts]
        if len(numbers) > 4 or any(number > 255 for number in numbers[:-1]):
            raise ValueError
        value = sum(number << 8 * (3 - place) for place, number in enumerate(numbers[:-1]))
        if numbers[-1] >= 256 ** (5 - len(numbers)):
            raise ValueError
        return ipaddress.IPv4Address(value + numbers[-1])
    except ValueError:
        raise InvalidInput.of(field, "the host looks like an IPv4 address, but is not one.") from None


def _number(part: str) -> int:
    if not _NUMBER.fullmatch(part):
        raise ValueError
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if part.startswith("0") else int(part)


def _check_name(host: str, *, plain: bool) -> None:
    """Refuse names that can only fail later; all others are judged by the address they lead to."""
    bare = host.rstrip(".")
    if (bare == "localhost" or bare.endswith(".localhost")) and not any(is_allowed(ip) for ip in _LOOPBACKS):
        raise AddressRefused(f"{bare} is this machine itself (a loopback address). To allow it, add 127.0.0.1/32 to {SETTING}.")
    if plain and not allows_any():
        raise AddressRefused(
            f"http:// is accepted only for hosts inside {SETTING}, which is empty. Use https://, or add the host's network to {SETTING}."
        )
