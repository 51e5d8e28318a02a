"""Signatures of webhooks: Standard Webhooks (https://www.standardwebhooks.com) and X-Hub-Signature-256. The only user of hmac."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac  # noqa: TID251 - this is the place
import secrets as random
from collections.abc import Mapping, Sequence
from functools import lru_cache

from core.errors import InvalidInput

PREFIX = "whsec_"
TOLERANCE_SECONDS = 300
MIN_BYTES, MAX_BYTES = 24, 64
ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"


class BadSignatureError(Exception):
    """A message can't be trusted; the text says why, without any part of the secret or the expected signature."""


def new_secret() -> str:
    """Return a new random secret."""
    return PREFIX + base64.b64encode(random.token_bytes(32)).decode()


def check_secret(text: object, field: str = "secret") -> str:
    """Return the secret if it can sign, else raise InvalidInput on `field`; the sentence never shows it."""
    if not isinstance(text, str) or not text.startswith(PREFIX):
        raise InvalidInput.of(field, f"must start with {PREFIX}; leave it out to have one generated.")
    try:
        key = _decode(text)
    except ValueError:
        raise InvalidInput.of(field, f"what follows {PREFIX} must be base64.") from None
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise InvalidInput.of(field, f"must hold {MIN_BYTES} to {MAX_BYTES} bytes in base64; it holds {len(key)}.")
    return text


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return `v1,<base64>` over `id.timestamp.body`; `timestamp` in Unix seconds. Raises ValueError for an unreadable secret."""
    inner, outer = _keyed(secret)
    signed = inner.copy()
    signed.update(f"{message_id}.{timestamp}.".encode())
    signed.update(body)
    whole = outer.copy()
    whole.update(signed.digest())
    return "v1," + binascii.b2a_base64(whole.digest(), newline=False).decode()


def signature_header(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of webhook-signature: one signature for each secret, so that both hold during a rotation."""
    return " ".join([sign(secret, message_id, timestamp, body) for secret in secrets])


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: float, tolerance: int = TOLERANCE_SECONDS) -> None:
    """Raise BadSignatureError unless a signature by one of `secrets` fits and the timestamp lies within `tolerance` of `now`."""
    values = {name.lower(): value for name, value in headers.items()}
    message_id, stamp, given = (values.get(name, "") for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER))
    missing = [name for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER) if not values.get(name)]
    if missing:
        raise BadSignatureError(f"The header {missing[0]} is missing.")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise BadSignatureError(f"{TIMESTAMP_HEADER} is not a number of seconds.")
    timestamp = int(stamp)
    if timestamp < now - tolerance:
        raise BadSignatureError(f"The message is older than {tolerance} seconds; check the clocks, or it is a replay.")
    if timestamp > now + tolerance:
        raise BadSignatureError("The message is from the future; check the clocks.")
    candidates = [item.encode() for item in given.split(" ")[:50] if item.startswith("v1,")]
    expected = [sign(secret, message_id, timestamp, body).encode() for secret in secrets]
    # all pairs are compared, so that the time says nothing about which one fits
    matches = [hmac.compare_digest(one, other) for one in expected for other in candidates]
    if not any(matches):
        raise BadSignatureError("No signature fits: another secret, or the body was changed on the way.")


def hub_signature_256(secret: str, body: bytes) -> str:
    """Return the value of X-Hub-Signature-256 (GitHub's scheme) over the body; the secret's text is the key."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify_hub_256(secrets: Sequence[str], header: str, body: bytes) -> None:
    """Raise BadSignatureError unless `header`, an X-Hub-Signature-256, is by one of `secrets` over `body`; empty secrets sign nothing."""
    if not header:
        raise BadSignatureError("The header X-Hub-Signature-256 is missing. Give the webhook a secret, the same as here.")
    given = header.strip().encode("utf-8", "surrogatepass")
    # all are compared, so that the time says nothing about which one fits
    matches = [hmac.compare_digest(hub_signature_256(secret, body).encode(), given) for secret in secrets if secret]
    if not any(matches):
        raise BadSignatureError("X-Hub-Signature-256 does not fit: another secret, or the body was changed on the way.")


def _decode(secret: str) -> bytes:
    encoded = secret.removeprefix(PREFIX)
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        raise ValueError("the secret is not base64") from None


@lru_cache(maxsize=512)
def _keyed(secret: str) -> tuple[hashlib._Hash, hashlib._Hash]:
    """Return the two halves of HMAC-SHA256 (RFC 2104), keyed and still empty, to copy from.

    Decoding and keying cost more than signing a short body, and hmac's own objects twice what their hashes do.
    """
    key = _decode(secret).ljust(hashlib.sha256().block_size, b"\0")  # never longer than a block: see MAX_BYTES
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in key)), hashlib.sha256(bytes(byte ^ 0x5C for byte in key))
