"""Reads which addresses a platform's webhooks come from, from the platform or from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.errors import RepoGuardError
from webhooks.inbound import provider_addresses

MOST_BYTES = 10 * 1024 * 1024


class Command(BaseCommand):
    """See the module."""

    help = "Reads anew which addresses a platform's webhooks come from. Housekeeping does it daily; without a way out, use --file."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        known = provider_addresses.publishers()
        parser.add_argument("--provider", choices=sorted(known), default=sorted(known)[0], help="whose addresses (default: %(default)s)")
        parser.add_argument("--file", metavar="FILE", help="the platform's list as it was downloaded elsewhere, such as GitHub's /meta")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read and store the list; say what holds from now on."""
        provider = str(options["provider"])
        try:
            found = _read(provider, options["file"])
        except RepoGuardError as error:
            raise CommandError(f"{error.message} Kept: {provider_addresses.known(provider).said}.") from error
        self.stdout.write(f"{found.said}:")
        for network in found.networks:
            self.stdout.write(f"  {network}")


def _read(provider: str, name: str | None) -> provider_addresses.Known:
    if name is None:
        return provider_addresses.refresh(provider)
    return provider_addresses.load(provider, _document(Path(name)), Path(name).name)


def _document(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CommandError(f"{path} is over {MOST_BYTES} bytes: it is no list of addresses.")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path} is not JSON.") from error
