"""From an integration's row to calls: the one place that makes its terms, its credentials' part, its door and its connector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.errors import Conflict
from core.http.client import Door
from core.http.door import Auth, Terms
from core.models.outbound import CallPurpose
from integrations.auth import dressed
from integrations.choices import Status
from integrations.contract.connector import Connector, Context
from integrations.contract.signin import OAuthApp
from integrations.models import Integration
from integrations.oauth.auth import OAuthAuth
from integrations.registry import find

_CONNECT_TIMEOUT = 5.0
# one try where the caller tries again by itself, or where the answer of this very call is what is asked for
_SINGLE = frozenset({CallPurpose.CHECK, CallPurpose.DESTINATION, CallPurpose.FOLLOW_UP, CallPurpose.SIGN_IN})
_MAY_BE_STALE = frozenset({CallPurpose.GATEWAY, CallPurpose.SCAN, CallPurpose.BUILDS})
# somebody waits for the answer
_GATEWAY_ATTEMPTS, _GATEWAY_LONGEST_WAIT = 2, 2.0
_LONGEST_WAIT = 5.0


def terms_of(integration: Integration, purpose: CallPurpose, endpoint: str = "") -> Terms:
    """Return the limits under which an integration calls for a purpose; `endpoint` is the named one, for the log."""
    gateway, single = purpose == CallPurpose.GATEWAY, purpose in _SINGLE
    timeout = float(integration.timeout_seconds)
    return Terms(
        integration_id=integration.id,
        name=integration.name,
        owner_id=integration.owner_id,
        purpose=purpose,
        endpoint=endpoint,
        rate_per_minute=integration.rate_per_minute,
        quota_limit=integration.quota_limit,
        quota_window_seconds=integration.quota_window_seconds,
        breaker_failures=integration.breaker_failures,
        breaker_hold_seconds=integration.breaker_hold_seconds,
        connect_timeout=min(_CONNECT_TIMEOUT, timeout),
        timeout=timeout,
        attempts=1 if single else _GATEWAY_ATTEMPTS if gateway else 3,
        longest_wait=0.0 if single else _GATEWAY_LONGEST_WAIT if gateway else _LONGEST_WAIT,
        stale_seconds=integration.stale_seconds if purpose in _MAY_BE_STALE else 0,
    )


def auth_of(integration: Integration, *, trial: bool = False) -> Auth:
    """Return what puts an integration's credentials on its requests; a `trial` leaves no mark on its sign-in.

    Raises InvalidInput for an unknown connector.
    """
    connector, config, credentials = find(integration.type), integration.config, _credentials(integration)
    found = connector.auth(config, credentials)
    auth: Auth = OAuthAuth(integration, found, trial=trial) if isinstance(found, OAuthApp) else found
    return dressed(auth, connector.extra_headers(config, credentials))


def door_for(integration: Integration, purpose: CallPurpose, endpoint: str = "") -> Door:
    """Return the door of an integration. Raises Conflict (code inactive) for an inactive one."""
    require_active(integration)
    return open_door(integration, purpose, endpoint)


def connector_for(integration: Integration, purpose: CallPurpose) -> Connector:
    """Return the connector of an integration, ready to call. Raises Conflict (code inactive) for an inactive one."""
    require_active(integration)
    return build_connector(integration, purpose)


def build_connector(integration: Integration, purpose: CallPurpose, *, trial: bool = False) -> Connector:
    """Return the connector also of an inactive integration, or of one that is not stored: for trying it out; see open_door().

    Raises InvalidInput for an unknown connector.
    """
    context = Context(
        integration_id=integration.id,
        name=integration.name,
        config=integration.config,
        credentials=_credentials(integration),
        door=open_door(integration, purpose, trial=trial),
    )
    return find(integration.type)(context)


def open_door(integration: Integration, purpose: CallPurpose, endpoint: str = "", *, trial: bool = False) -> Door:
    """Return the door also of an inactive integration, or of one that is not stored.

    On `trial`, when a person tries it out, the breaker neither refuses nor counts: what is asked is whether it works now.
    """
    terms = terms_of(integration, purpose, endpoint)
    return Door(replace(terms, breaker_failures=0) if trial else terms, auth_of(integration, trial=trial))


def require_active(integration: Integration) -> None:
    """Raise Conflict (code inactive) where an integration is switched off."""
    if integration.status != Status.ACTIVE:
        raise Conflict(f"The integration {integration.name} is inactive; activate it first.", code="inactive")


def _credentials(integration: Integration) -> Mapping[str, Any]:
    stored: Any = integration.credentials
    return stored or {}
