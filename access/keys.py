"""What an API key looks like: `rg_live_<8>_<43>`, of which the first 16 characters name it and only a hash is stored."""

from __future__ import annotations

import hashlib
import secrets
import string

from access.choices import KeyEnvironment
from core.errors import InvalidInput

PREFIX_LENGTH = 16
MAX_LENGTH = 200
_ALPHABET = string.ascii_letters + string.digits
_LEAST_GIVEN = 43  # `rg_` and 40 characters


def new_key(environment: KeyEnvironment | str) -> str:
    """Return a fresh key: 256 bits of randomness behind a name of 47."""
    return f"rg_{KeyEnvironment(environment).value}_{_random(8)}_{_random(43)}"


def prefix_of(key: str) -> str:
    """Return the part of a key by which it is found; it is no secret."""
    return key[:PREFIX_LENGTH]


def hash_of(key: str) -> str:
    """Return the hash that is stored of a key. Keys are long and random, so a fast hash is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


def is_possible(key: str) -> bool:
    """Say whether a text may be a key at all, before the database is asked."""
    return PREFIX_LENGTH < len(key) <= MAX_LENGTH and key.isascii() and key.isprintable() and " " not in key


def check_given(key: str) -> None:
    """Raise InvalidInput unless a key made elsewhere is long enough to be one."""
    if not key.startswith("rg_") or len(key) < _LEAST_GIVEN or not is_possible(key):
        raise InvalidInput.of("INITIAL_API_KEY", "must be rg_ followed by 40 to 197 letters, digits or signs without spaces.")


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
