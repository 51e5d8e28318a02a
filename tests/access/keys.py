"""Keys and clients for tests."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from access import services
from access.models import ApiKey
from access.owners import owner_for_team, owner_for_user


def make_key(owner: User | Group | None = None, *scopes: str, **values: Any) -> tuple[ApiKey, str]:
    """Create a key of a user, a team or the admins, with all scopes unless some are named."""
    owner_id = None
    if isinstance(owner, User):
        owner_id = owner_for_user(owner).id
    elif isinstance(owner, Group):
        owner_id = owner_for_team(owner).id
    values = {"name": "test", "scopes": list(scopes) or ["all"]} | values
    return services.create_key(services.KeyValues(owner_id=owner_id, **values))


def client_with(text: str) -> APIClient:
    """Return a client that sends the key."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def client_of(owner: User | Group | None = None, *scopes: str, **values: Any) -> APIClient:
    """Return a client with a fresh key."""
    return client_with(make_key(owner, *scopes, **values)[1])
