"""Where a repository's badges are."""

from __future__ import annotations

from django.conf import settings

from integrations.models import Repository


def badge_addresses(repository: Repository) -> list[dict[str, str]]:
    """Return for each badge its addresses and the line for a README; none where the token was revoked."""
    if not repository.badge_token:
        return []
    base = f"{settings.PUBLIC_URL.rstrip('/')}/badge/{repository.badge_token}"
    return [_address(base, name) for name in settings.BADGE_SOURCES]


def _address(base: str, name: str) -> dict[str, str]:
    image = f"{base}.svg?show={name}"
    return {"show": name, "svg": image, "json": f"{base}.json?show={name}", "markdown": f"![{name.replace('-', ' ')}]({image})"}
