"""Which OAuth2 client an integration is."""

from __future__ import annotations

from typing import Any

from integrations.contract.signin import OAuthApp, OAuthFlow
from integrations.models import Integration
from integrations.oauth.exchange import Holder
from integrations.registry import find


def app_of(integration: Integration) -> OAuthApp | None:
    """Return the integration as an OAuth2 client, None where it signs in otherwise. Raises InvalidInput for an unknown connector."""
    stored: Any = integration.credentials
    found = find(integration.type).auth(integration.config, stored or {})
    return found if isinstance(found, OAuthApp) else None


def holder_of(integration: Integration, app: OAuthApp) -> Holder:
    """Return who signs in."""
    return Holder(integration.id, integration.name, integration.owner_id, app)


def is_connected_by_hand(app: OAuthApp | None) -> bool:
    """Say whether a person has to sign in."""
    return app is not None and app.flow == OAuthFlow.AUTHORIZATION_CODE
