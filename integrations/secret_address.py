"""Webhook addresses that are the secret themselves, as chats hand them out: the field, which hosts it may lead to, what is masked of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from core.http.addresses import is_allowed
from core.http.door import NoAuth
from integrations.contract.fields import Field, FieldKind

ADDRESS = "webhook_url"
OTHER_HOST = "other_host"
_SHORTEST_PATH, _SHORTEST_PART = 8, 12
_HOST = r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"


def address_fields(platform: str, *, example: str, help: str, link: str) -> tuple[Field, ...]:
    """Return the fields of a platform whose webhook address is all that it asks for."""
    return (
        Field(ADDRESS, "Webhook URL", FieldKind.URL, secret=True, required=True, example=example, link=link,
              help=f"{help} Whoever has it can post there: it is kept encrypted, and never shown again."),
        Field(OTHER_HOST, "Host of a proxy", max_length=253, pattern=_HOST, placeholder="chat-proxy.example.com",
              help=f"Only if the address leads to a proxy of yours, and not to {platform} itself. Hosts inside EGRESS_ALLOW_CIDRS that "
                   "are written as an IP address need no mention."),
    )  # fmt: skip


class SecretAddress(NoAuth):
    """Says which texts give the address away, for logs and sentences to mask them; it adds nothing to a request."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __repr__(self) -> str:
        return "<SecretAddress>"

    def secrets(self) -> list[str]:
        """Return the address, its path, and the longer parts of both path and query: services repeat them in their answers."""
        parts = urlsplit(self._url)
        pieces = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
        found = [self._url, *(text for text in (parts.path, unquote(parts.path)) if len(text) >= _SHORTEST_PATH)]
        return [*found, *(piece for piece in pieces if len(piece) >= _SHORTEST_PART)]


def is_of(url: str, hosts: Sequence[str]) -> bool:
    """Say whether an address leads to one of these hosts, or to a host below one."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    return any(host == one or host.endswith(f".{one}") for one in hosts)


def host_errors(platform: str, hosts: Sequence[str], config: Mapping[str, Any], url: str) -> dict[str, list[str]]:
    """Return what is wrong with where an address leads to; no sentence shows more of it than the host.

    It has to be the platform's, the proxy that is named, or an inner host: one written as an address that EGRESS_ALLOW_CIDRS opens,
    or any behind http://, which the guard lets pass to such addresses only.
    """
    parts = urlsplit(url)
    if is_of(url, hosts):
        return {} if parts.scheme == "https" else {ADDRESS: [f"must start with https://, as {platform}'s addresses do."]}
    named = str(config.get(OTHER_HOST, "")).lower().rstrip(".")
    if parts.scheme == "http" or _is_open(parts) or (named and is_of(url, [named])):
        return {}
    shown = " or ".join(hosts[:2])
    sentence = f"leads to {parts.hostname}, which is not {platform}'s ({shown}). Copy it again; a proxy of yours is named in {OTHER_HOST}."
    return {ADDRESS: [sentence]}


def _is_open(parts: SplitResult) -> bool:
    try:
        return is_allowed(ipaddress.ip_address(parts.hostname or ""))
    except ValueError:
        return False
