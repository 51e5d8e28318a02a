"""What makes an installation unsafe. Errors stop every command and the web server; each says what to set.

`manage.py check` lists them by id. E: refused. W: works, but think about it.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from core import keys_in_use

_SHORTEST_SECRET = 50
_FEWEST_LETTERS = 10
_SHORTEST_PASSWORD = 12
# a network wider than these holds more than a company's own machines
_WIDEST_PREFIX = {4: 8, 6: 7}
_METADATA = (ipaddress.ip_address("169.254.169.254"), ipaddress.ip_address("fd00:ec2::254"))


def check_installation(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return everything that is wrong with the settings; Django calls it before every command."""
    return problems(settings)


def check_keys_in_use(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return an error when FERNET_KEYS lacks a key that stored values need (`check --deploy`; starts refuse it by themselves)."""
    try:
        lacking = keys_in_use.missing()
    except DatabaseError:
        return [Info("Keys in use were not checked: the database does not answer, or has no tables yet.", id="repoguard.I012")]
    return [Error(keys_in_use.sentence(lacking), id="repoguard.E012")] if lacking else []


def refuse_unsafe() -> None:
    """Raise ImproperlyConfigured, saying what to set, when there is an error: for servers that run no checks of Django's."""
    errors = [f"{message.msg} {message.hint}" for message in problems(settings) if isinstance(message, Error)]
    if errors:
        raise ImproperlyConfigured(" ".join(errors))


def problems(config: Any) -> list[CheckMessage]:
    """Return everything that is wrong with `config`, an object that has settings as attributes."""
    found = [*_always(config)]
    if config.PRODUCTION:
        found += [*_secret_key(config), *_in_production(config)]
    return found


def _always(config: Any) -> Iterator[CheckMessage]:
    for sentence in config.UNKNOWN_SETTINGS:
        yield Warning(f"The env file holds an {sentence}", "docs/settings.md lists those there are.", id="repoguard.W005")
    yield from _fernet_keys(config)
    url = urlsplit(config.PUBLIC_URL)
    if url.scheme not in {"http", "https"} or not url.hostname:
        yield Error(f"PUBLIC_URL {config.PUBLIC_URL!r} is no address.", "Set it like https://repoguard.example.com.", id="repoguard.E001")
    for text in config.EGRESS_ALLOW_CIDRS:
        network = ipaddress.ip_network(text)
        if network.prefixlen < _WIDEST_PREFIX[network.version]:
            yield Error(
                f"EGRESS_ALLOW_CIDRS opens {text}, which is nearly every address.",
                "List only the inner networks that outbound calls must reach, such as 10.20.0.0/16.",
                id="repoguard.E002",
            )
        elif any(address in network for address in _METADATA if address.version == network.version):
            yield Warning(
                f"EGRESS_ALLOW_CIDRS opens {text}, which holds the cloud's metadata address.",
                "Whoever may create a webhook can then read this machine's cloud credentials. Leave that network out.",
                id="repoguard.W003",
            )
    for name, cluster in {"default": config.Q_CLUSTER, **config.Q_CLUSTER["ALT_CLUSTERS"]}.items():
        least = cluster["timeout"] * (cluster["queue_limit"] / cluster["workers"] + 2)
        if cluster["retry"] < least:
            yield Error(
                f"The queue {name} hands a task out again after {cluster['retry']} s, while the first may still wait or run.",
                f"Set its retry to at least {least:.0f}.",
                id="repoguard.E004",
            )


def _secret_key(config: Any) -> Iterator[CheckMessage]:
    if is_weak(config.SECRET_KEY) or len(config.SECRET_KEY) < _SHORTEST_SECRET:
        yield Error(
            f"SECRET_KEY is an example, or shorter than {_SHORTEST_SECRET} characters.",
            'Set it to the output of: python -c "import secrets; print(secrets.token_urlsafe(50))"',
            id="repoguard.E010",
        )


def _fernet_keys(config: Any) -> Iterator[CheckMessage]:
    if any(is_weak(key) or not _is_fernet_key(key) or key == config.SECRET_KEY for key in config.FERNET_KEYS):
        yield Error(
            "FERNET_KEYS holds an example, or something that is not a key of 32 random bytes.",
            "Make one with: python -c "
            '"import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())"'
            " and keep older keys behind it, as long as they encrypt anything.",
            id="repoguard.E011",
        )


def _in_production(config: Any) -> Iterator[CheckMessage]:
    if config.DEBUG:
        yield Error("DEBUG is on, and shows settings and code to everyone.", "Unset DEBUG.", id="repoguard.E020")
    if not config.ALLOWED_HOSTS or any(host.strip(".") in {"*", ""} for host in config.ALLOWED_HOSTS):
        yield Error(
            "ALLOWED_HOSTS is empty, or allows any host.",
            "Set it to the portal's name, such as repoguard.example.com.",
            id="repoguard.E021",
        )
    if urlsplit(config.PUBLIC_URL).scheme == "http":
        yield Error(
            f"PUBLIC_URL {config.PUBLIC_URL!r} is not https.",
            "Set it to the address people use, such as https://repoguard.example.com.",
            id="repoguard.E022",
        )
    if config.ADMIN_PASSWORD and len(config.ADMIN_PASSWORD) < _SHORTEST_PASSWORD:
        yield Error(
            f"ADMIN_PASSWORD has fewer than {_SHORTEST_PASSWORD} characters.",
            "Set a longer one, or leave it unset: one is generated and printed once.",
            id="repoguard.E023",
        )
    if "sqlite" in config.DATABASES["default"]["ENGINE"]:
        yield Warning(
            "The database is SQLite: one machine only, and one writer at a time.",
            "Set DATABASE_URL to a PostgreSQL, unless this is a small installation.",
            id="repoguard.W024",
        )
    if not config.TRUSTED_PROXIES:
        yield Warning(
            "TRUSTED_PROXIES is empty: HTTPS that ends at a proxy is not seen, and every request is sent to https:// again.",
            "Set it to the address of the proxy in front of the portal, such as 127.0.0.1/32.",
            id="repoguard.W025",
        )


def is_weak(secret: str) -> bool:
    """Say whether a secret is a placeholder rather than random: few different characters, or words of an example."""
    lowered = secret.lower()
    return len(set(secret)) < _FEWEST_LETTERS or any(
        word in lowered for word in ("change-me", "changeme", "change_me", "insecure", "example", "your-secret", "placeholder")
    )


def _is_fernet_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key)) == 32
    except (binascii.Error, ValueError):
        return False
