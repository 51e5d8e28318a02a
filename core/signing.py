"""Signatures of webhooks, made and checked: Standard Webhooks (https://www.standardwebhooks.com), and those of other platforms.

The only user of hmac. A check works on bytes, tries every secret, and raises BadSignatureError whatever it is given: never
anything else, and never with a part of a secret or of the expected signature. Header names are in lower case.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac  # noqa: TID251 - this is the place
import re
import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from core.errors import InvalidInput, NotAllowed

PREFIX, PUBLIC_PREFIX = "whsec_", "whpk_"
TOLERANCE_SECONDS = 300
MIN_BYTES, MAX_BYTES = 24, 64
MIN_KEY, PUBLIC_BYTES = 16, 32
"""What a sender's key must hold at least (some are shorter than the specification says), and a public one exactly."""
MAX_HEADER = 8192
ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"


_NO_MATCH = "No signature fits: another secret, or the body was changed on the way."


class BadSignatureError(NotAllowed):
    """A message can't be trusted; the text says why, without any part of the secret or the expected signature."""

    code = "bad_signature"


@dataclass(frozen=True)
class Scheme:
    """How a platform writes an HMAC: in `header`, after `prefix`, the digest of `algorithm` (sha1, sha256, sha512) as hex or base64."""

    header: str
    prefix: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    listed: bool = False
    """Several may stand there, separated by commas; those with another prefix are looked past."""


HUB_256 = Scheme("x-hub-signature-256", "sha256=")
"""GitHub's scheme."""


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


def key_problem(text: str, prefixes: Sequence[str]) -> str:
    """Return why a text is no Standard Webhooks key with one of the prefixes ("" stands for none), "" where it is one; never shows it."""
    prefix = next((prefix for prefix in prefixes if text.startswith(prefix)), None)
    if prefix is None:
        return f"must begin with {' or '.join(prefix for prefix in prefixes if prefix)}; copy the whole of it."
    try:
        key = _decode(text.removeprefix(prefix))
    except ValueError:
        return f"must be base64{f' after {prefix}' if prefix else ''}; copy the whole of it."
    if prefix == PUBLIC_PREFIX and len(key) != PUBLIC_BYTES:
        return f"must hold {PUBLIC_BYTES} bytes in base64, as a public key has; it holds {len(key)}."
    return "" if len(key) >= MIN_KEY else f"must hold at least {MIN_KEY} bytes in base64; it holds {len(key)}. Copy the whole of it."


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


def verify(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    tolerance: int = TOLERANCE_SECONDS,
    names: tuple[str, str, str] = (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER),
) -> None:
    """Check a Standard Webhooks message: an HMAC (`v1`) for secrets with whsec_ or no prefix, Ed25519 (`v1a`) for whpk_ keys.

    `names` are the headers of id, timestamp and signatures. The timestamp must lie within `tolerance` seconds of `now`.
    """
    headers = {name.lower(): value for name, value in headers.items()}
    message_id, stamp, given = (header_value(headers, name) for name in names)
    check_time(stamp, now, tolerance, names[1])
    items = [item.partition(",")[::2] for item in given.split(" ")]
    signed = [f"{message_id}.{stamp}.".encode(), body]
    found, readable = [], False
    for secret in _configured(secrets):
        key = _key(secret)
        readable = readable or bool(key)
        if key and secret.startswith(PUBLIC_PREFIX):
            found += [_is_signed(key, value, signed) for version, value in items if version == "v1a"]
        elif key:
            expected = base64.b64encode(_digest(key, "sha256", signed))
            # all pairs are compared, so that the time says nothing about which one fits
            found += [hmac.compare_digest(expected, value.encode()) for version, value in items if version == "v1"]
    if not readable:
        raise BadSignatureError(f"The secret is unreadable: it must be {PREFIX} or {PUBLIC_PREFIX} and base64. Enter it again.")
    if not any(found):
        raise BadSignatureError(_NO_MATCH)


def check_mac(scheme: Scheme, secrets: Sequence[str], headers: Mapping[str, str], message: Sequence[bytes]) -> None:
    """Check the signature that a scheme's header holds over the joined parts of a message; the secret's text is the key."""
    value = header_value(headers, scheme.header)
    items = [item.strip() for item in value.split(",")] if scheme.listed else [value]
    given = [item.removeprefix(scheme.prefix).lstrip() for item in items if item.startswith(scheme.prefix)]
    if not given:
        raise BadSignatureError(f"{scheme.header} does not begin with {scheme.prefix}: it is no signature of this kind.")
    check_macs(scheme, secrets, given, message)


def mac(scheme: Scheme, secret: str, message: Sequence[bytes]) -> str:
    """Return the signature over the joined parts of a message, without the scheme's prefix; the secret's text is the key."""
    return _encoded(scheme, _digest(secret.encode(errors="replace"), scheme.algorithm, message)).decode()


def mac_value(scheme: Scheme, secret: str, message: Sequence[bytes]) -> str:
    """Return the value of a scheme's header, as check_mac() takes it."""
    return prefixed(scheme.prefix, mac(scheme, secret, message))


def prefixed(prefix: str, value: str) -> str:
    """Return a value after its prefix: after a word such as Bearer with a blank between, after `sha256=` without."""
    return f"{prefix} {value}" if prefix[-1:].isalnum() else f"{prefix}{value}"


def check_macs(scheme: Scheme, secrets: Sequence[str], given: Sequence[str], message: Sequence[bytes]) -> None:
    """Check that one of the signatures, without their prefix, is one of `message` by one of the secrets."""
    expected = [_encoded(scheme, _digest(secret.encode(errors="replace"), scheme.algorithm, message)) for secret in _configured(secrets)]
    length = len(expected[0])
    fitting = [item.lower() if scheme.encoding == "hex" else item for item in given if len(item) == length]
    if not fitting:
        raise BadSignatureError(f"{scheme.header} has no signature of {length} characters: it was cut, doubled, or is of another kind.")
    matches = [hmac.compare_digest(one, other.encode(errors="replace")) for one in expected for other in fitting]
    if not any(matches):
        raise BadSignatureError(_NO_MATCH)


def check_token(secrets: Sequence[str], given: Sequence[str]) -> None:
    """Check that one of the texts is one of the secrets: for platforms that send the secret itself."""
    # digests are compared, so that the time says nothing about the length either
    expected = [hashlib.sha256(secret.encode(errors="replace")).digest() for secret in _configured(secrets)]
    found = [hashlib.sha256(text.encode(errors="replace")).digest() for text in given]
    matches = [hmac.compare_digest(one, other) for one in expected for other in found]
    if not any(matches):
        raise BadSignatureError("The request carries another secret than this source has.")


def basic_value(user: str, password: str) -> str:
    """Return the value of an Authorization header of the scheme Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def basic_password(value: str) -> str | None:
    """Return the password of an Authorization header of the scheme Basic, None for any other."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return None


def header_value(headers: Mapping[str, str], name: str) -> str:
    """Return a header that is there, of a sane length, and made of printable ASCII characters."""
    value = headers.get(name, "")
    if not value:
        raise BadSignatureError(f"The header {name} is missing.")
    if len(value) > MAX_HEADER:
        raise BadSignatureError(f"{name} is longer than {MAX_HEADER} characters.")
    if not (value.isascii() and value.isprintable()):
        raise BadSignatureError(f"{name} holds other characters than printable ASCII, as no signature does.")
    return value


def check_time(stamp: str, now: float, tolerance: float, name: str) -> None:
    """Check that a timestamp in Unix seconds lies within `tolerance` seconds of `now`, before or after; `name` is the header's."""
    if not re.fullmatch(r"[0-9]{1,12}", stamp):
        raise BadSignatureError(f"{name} is not a number of seconds.")
    if int(stamp) < now - tolerance:
        raise BadSignatureError(f"The message is older than {tolerance:g} seconds; check the clocks, or it is a replay.")
    if int(stamp) > now + tolerance:
        raise BadSignatureError("The message is from the future; check the clocks.")


def hub_signature_256(secret: str, body: bytes) -> str:
    """Return the value of X-Hub-Signature-256 over the body."""
    return mac_value(HUB_256, secret, [body])


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
    block = hashlib.sha256().block_size
    key = _decode(secret)
    key = (hashlib.sha256(key).digest() if len(key) > block else key).ljust(block, b"\0")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in key)), hashlib.sha256(bytes(byte ^ 0x5C for byte in key))


def _configured(secrets: Sequence[str]) -> list[str]:
    found = [secret for secret in secrets if secret.strip()]
    if not found:  # an HMAC with an empty key is one that everybody can make
        raise BadSignatureError("No secret is set here, so no request can be trusted. Set one.")
    return found


def _digest(key: bytes, algorithm: str, message: Sequence[bytes]) -> bytes:
    mac = hmac.new(key, digestmod=algorithm)
    for part in message:
        mac.update(part)
    return mac.digest()


def _encoded(scheme: Scheme, digest: bytes) -> bytes:
    return base64.b64encode(digest) if scheme.encoding == "base64" else digest.hex().encode()


def _key(secret: str) -> bytes:
    """Return the key in a Standard Webhooks secret, b"" where it is unreadable."""
    try:
        return _decode(secret.removeprefix(PUBLIC_PREFIX))
    except ValueError:
        return b""


def _is_signed(key: bytes, signature: str, message: Sequence[bytes]) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(signature, validate=True), b"".join(message))
    except (ValueError, InvalidSignature):
        return False
    return True
