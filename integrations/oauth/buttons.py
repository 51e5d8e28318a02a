"""The part of OAuth2 on an integration's page: where it stands, the address to register, and the buttons."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.admin_base.buttons import Button
from core.errors import RepoGuardError
from core.fields import DecryptError
from integrations.choices import GrantStatus
from integrations.contract.signin import OAuthApp, OAuthFlow
from integrations.models import Integration, OAuthGrant
from integrations.oauth import connect, session
from integrations.oauth.apps import app_of, is_connected_by_hand

_TONES = {GrantStatus.CONNECTED: show.GOOD, GrantStatus.REVOKED: show.BAD, GrantStatus.NOT_CONNECTED: show.WARN}


def sign_in_buttons(pages: PortalAdmin) -> list[Button]:
    """Return Connect and Disconnect for the admin of integrations; shown where a person signs in."""

    def begin(request: HttpRequest, integration: Integration) -> HttpResponseBase:
        if not isinstance(request.user, User):
            raise PermissionDenied
        started = connect.start(integration, request.user)
        session.remember(request, started.id)
        host = urlsplit(started.address).hostname
        # a page in between: the policy against foreign forms forbids to answer a form with the provider's address
        return pages.page(
            request,
            "portal/oauth_continue.html",
            f"Connect {integration.name}",
            address=started.address,
            host=host,
            back=show.admin_url(Integration, "change", integration.pk),
            minutes=connect.MINUTES,
        )

    return [
        Button("connect", "Connect", "link", begin, _may_connect, tone="primary"),
        Button("reconnect", "Connect again", "link", begin, _may_reconnect),
        Button(
            "disconnect",
            "Disconnect",
            "link_off",
            _disconnect,
            _is_connected,
            confirm="Disconnect it? Its calls fail until it is connected again.",
            calls_out=True,
        ),
    ]


def sign_in_panel(integration: Integration) -> dict[str, Any] | None:
    """Return what portal/oauth_panel.html shows, None where the integration signs in otherwise."""
    app = _app(integration)
    if app is None:
        return None
    grant = OAuthGrant.objects.filter(pk=integration.pk).defer("access_token", "refresh_token").first()
    status = GrantStatus(grant.status) if grant else GrantStatus.NOT_CONNECTED
    by_hand = app.flow == OAuthFlow.AUTHORIZATION_CODE
    return {
        "by_hand": by_hand,
        "redirect_uri": connect.redirect_uri() if by_hand else "",
        "tone": _TONES[status] if by_hand or status != GrantStatus.NOT_CONNECTED else show.QUIET,
        "word": _words(status, by_hand=by_hand),
        "grant": grant,
        "renewed": not by_hand or OAuthGrant.objects.filter(pk=integration.pk, refresh_token__isnull=False).exists(),
        "provider": urlsplit(app.token_url).hostname,
    }


def _words(status: GrantStatus, *, by_hand: bool) -> str:
    if by_hand:
        return {
            GrantStatus.CONNECTED: "Connected",
            GrantStatus.REVOKED: "Refused: connect it again",
            GrantStatus.NOT_CONNECTED: "Not connected yet",
        }[status]
    return {
        GrantStatus.CONNECTED: "Signed in",
        GrantStatus.REVOKED: "The sign-in was refused",
        GrantStatus.NOT_CONNECTED: "No token yet; the first call fetches one",
    }[status]


def _disconnect(request: HttpRequest, integration: Integration) -> HttpResponseBase:
    tokens = connect.disconnect(integration)
    if trouble := connect.tell_provider(integration, tokens):
        messages.warning(request, f"{integration.name} is disconnected here, but {trouble}")
    else:
        messages.success(request, f"{integration.name} is disconnected; its tokens are forgotten.")
    return HttpResponseRedirect(show.admin_url(Integration, "change", integration.pk))


def _app(integration: Integration) -> OAuthApp | None:
    try:
        return app_of(integration)
    except (RepoGuardError, DecryptError, KeyError):  # an unknown connector, a lost key or a broken row must not take the page away
        return None


def _may_connect(request: HttpRequest, integration: Integration) -> bool:
    return is_connected_by_hand(_app(integration)) and not _status(integration, GrantStatus.CONNECTED)


def _may_reconnect(request: HttpRequest, integration: Integration) -> bool:
    return is_connected_by_hand(_app(integration)) and _status(integration, GrantStatus.CONNECTED)


def _is_connected(request: HttpRequest, integration: Integration) -> bool:
    return is_connected_by_hand(_app(integration)) and _status(integration, GrantStatus.CONNECTED, GrantStatus.REVOKED)


def _status(integration: Integration, *wanted: GrantStatus) -> bool:
    return OAuthGrant.objects.filter(pk=integration.pk, status__in=wanted).exists()
