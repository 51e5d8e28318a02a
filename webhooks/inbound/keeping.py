"""How a request is kept: headers and body compressed and encrypted, a large body in pieces, credentials not at all.

A row's `sealed` is zlib of one line of JSON ({"headers": …, "query": …, "dropped": […]}), a newline, and the body. Nothing ever holds
a large body in more than one form at once, but where a field is left out of it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.fields import DecryptError
from core.redact import MASK
from integrations.contract.inbound import InboundRequest
from webhooks.models import Receipt, ReceiptPart

INLINE = 256 * 1024
"""Bytes of a body up to which it is kept in the receipt itself."""
PIECE = 1024 * 1024
UNVERIFIED_BYTES = 64 * 1024
"""So much of the body of a request that is not authentic is kept."""
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie"})
_SECRET_PARAMETERS = frozenset({"token", "secret", "key", "password", "access_token", "api_key", "apikey", "auth"})
_UNVERIFIED_HEADERS, _UNVERIFIED_PARAMETERS, _UNVERIFIED_VALUE = 60, 20, 1000
_TELLING = 6


@dataclass(frozen=True)
class KeptRequest:
    """The request as it was kept, and which fields of its body were left out."""

    request: InboundRequest
    dropped: tuple[str, ...] = ()


def seal(headers: Mapping[str, str], query: Mapping[str, str], body: bytes | memoryview, dropped: Sequence[str] = ()) -> bytes:
    """Return what is stored, before it is encrypted."""
    # a window of 8 KB: of a usual body it leaves as much, and takes a third of the time to set up
    packer = zlib.compressobj(1, zlib.DEFLATED, 13, 6)
    about = {"headers": headers, "query": query} | ({"dropped": list(dropped)} if dropped else {})
    line = json.dumps(about, separators=(",", ":")).encode() + b"\n"
    return packer.compress(line) + packer.compress(body) + packer.flush()


def pieces(body: bytes) -> Iterator[bytes]:
    """Yield a large body as it is stored, piece by piece."""
    view = memoryview(body)
    for start in range(0, len(body), PIECE):
        yield zlib.compress(view[start : start + PIECE], 1)


def kept_headers(headers: Mapping[str, str], secrets: Sequence[str], *, verified: bool) -> dict[str, str]:
    """Return the headers as they are kept: without credentials and the source's secrets, of a stranger no more than is useful."""
    return _kept(headers, _CREDENTIALS, secrets, None if verified else _UNVERIFIED_HEADERS)


def kept_query(query: Mapping[str, str], secrets: Sequence[str], *, verified: bool) -> dict[str, str]:
    """Return the parameters of the address as they are kept: as the headers are."""
    return _kept(query, _SECRET_PARAMETERS, secrets, None if verified else _UNVERIFIED_PARAMETERS)


def _kept(values: Mapping[str, str], credentials: frozenset[str], secrets: Sequence[str], most: int | None) -> dict[str, str]:
    """Mask what is named like one of the credentials, and what holds a secret; `most` bounds what is kept of a stranger."""

    def shown(name: str, value: str) -> str:
        return MASK if name.lower() in credentials or any(_holds(value, secret) for secret in secrets) else value

    if most is None:
        return {name: shown(name, value) for name, value in values.items()}
    return {name[:100]: shown(name, value)[:_UNVERIFIED_VALUE] for name, value in list(values.items())[:most]}


def _holds(value: str, secret: str) -> bool:
    # a short one would be found by chance, and what a receiver reads would be masked
    return secret in value if len(secret) >= _TELLING else secret == value


def kept_request(receipt: Receipt) -> InboundRequest:
    """Return the request of a receipt, its body as far as it was kept; raises DecryptError where FERNET_KEYS lacks the key."""
    return kept(receipt).request


def kept(receipt: Receipt) -> KeptRequest:
    """Return what was kept of a receipt's request; raises as kept_request() does."""
    if receipt.sealed is None:
        raise DecryptError("The body of this request is not kept any more.")
    line, _, body = zlib.decompress(receipt.sealed).partition(b"\n")
    about = json.loads(line)
    if receipt.parts:
        rows = ReceiptPart.objects.filter(receipt_id=receipt.pk).order_by("number").values_list("data", flat=True)
        body = b"".join(zlib.decompress(data) for data in rows.iterator(chunk_size=1))
    request = InboundRequest(headers=about["headers"], body=body, query=about["query"], received_at=receipt.received_at)
    return KeptRequest(request, tuple(about.get("dropped", ())))
