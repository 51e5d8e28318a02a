"""Creates an API key and prints it; the last word on stdout is the key."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from access import services
from access.choices import KeyEnvironment
from access.owners import find_owner
from access.scopes import ALL
from core import context
from core.errors import RepoGuardError


class Command(BaseCommand):
    """See the module."""

    help = "Create an API key. It is shown once: the last word on stdout."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--name", required=True, help="What the key is for; names may repeat.")
        parser.add_argument("--owner", help="A user or team it acts for (user:NAME or team:NAME if both exist); the admins when left out.")
        parser.add_argument("--scopes", default=ALL, help="Comma list such as webhooks:write,events:read; default: all but events:system.")
        parser.add_argument("--rate", help="Requests a minute, or none for no limit; default: API_KEY_RATE.")
        parser.add_argument("--expires-days", type=float, help="Days until it expires; default: never.")
        parser.add_argument("--cidr", action="append", default=[], help="Network it may be used from; may be given several times.")
        parser.add_argument("--environment", choices=KeyEnvironment.values, default=KeyEnvironment.LIVE.value)

    def handle(self, *args: Any, **options: Any) -> None:
        """Create the key and print it."""
        try:
            with context.acting(context.Actor("command", "", "command createapikey")):
                key, text = services.create_key(_values(options))
        except RepoGuardError as error:
            raise CommandError(error.message) from error
        owner = str(key.owner) if key.owner is not None else "the admins"
        self.stderr.write(f"Created key {key.name!r} of {owner} with scopes {', '.join(key.scopes)}. It is shown only now:")
        self.stdout.write(text)


def _values(options: dict[str, Any]) -> services.KeyValues:
    return services.KeyValues(
        name=options["name"],
        scopes=[scope.strip() for scope in options["scopes"].split(",") if scope.strip()],
        owner_id=find_owner(options["owner"]).id if options["owner"] else None,
        environment=options["environment"],
        rate_per_minute=_rate(options["rate"]),
        unlimited=options["rate"] == "none",
        allowed_cidrs=[cidr for value in options["cidr"] for cidr in value.split(",") if cidr.strip()],
        expires_at=_expiry(options["expires_days"]),
    )


def _rate(text: str | None) -> int | None:
    if text is None or text == "none":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise CommandError("--rate must be a whole number of requests a minute, or none.")
    return int(text)


def _expiry(days: float | None) -> dt.datetime | None:
    if days is None:
        return None
    if not 0 < days <= 36500:
        raise CommandError("--expires-days must be more than 0 and at most 36500.")
    return timezone.now() + dt.timedelta(days=days)
