"""Prints a new key for FERNET_KEYS."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from django.core.management.base import BaseCommand

from core.fields import key_id


class Command(BaseCommand):
    """See the module; nothing is stored."""

    help = "Print a new key for FERNET_KEYS: the last word on stdout. How to bring it in: docs/encryption.md."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the key on stdout, its id and what to do with it on stderr."""
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        self.stderr.write(f"A new key with the id {key_id(key)}. Put it before the present ones in FERNET_KEYS, restart, run rotate_keys:")
        self.stdout.write(key)
