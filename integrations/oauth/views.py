"""Where people come back from a provider."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from access.principals import principal
from core.errors import RepoGuardError
from core.fields import DecryptError
from integrations.models import Integration, OAuthRequest
from integrations.oauth import connect
from integrations.oauth.grants import text_of
from integrations.oauth.session import forget, remembered

_LONGEST_STATE = 200


@never_cache
@require_http_methods(["GET"])
def callback(request: HttpRequest) -> HttpResponseBase:
    """End a sign-in and go on to the integration's page; nothing that the provider sent decides where to."""
    user = request.user
    if not isinstance(user, User) or not principal(request).role:
        messages.error(request, "Log in first, then press Connect on the integration's page again.")
        return HttpResponseRedirect(reverse("admin:login"))
    parameters = {name: request.GET[name] for name in ("code", "state", "error", "error_description") if name in request.GET}
    try:
        claimed = connect.claim(parameters.get("state", "")[:_LONGEST_STATE], user, remembered(request))
    except connect.SignInRefusedError as refusal:
        messages.error(request, refusal.message)
        return _page_of(request, refusal.integration_id)
    except DecryptError as error:
        messages.error(request, str(error))
        return _page_of(request, None)
    forget(request, claimed.id)
    return _finish(request, claimed, parameters, user)


def _finish(request: HttpRequest, claimed: OAuthRequest, parameters: dict[str, str], user: User) -> HttpResponseBase:
    integration = claimed.integration
    who = principal(request)
    if not who.may_write or not who.owns(integration.owner_id):  # the right may have gone meanwhile
        messages.error(request, "You may not change this integration any more.")
        return _page_of(request, None)
    try:
        grant = connect.finish(claimed, parameters, user)
    except (RepoGuardError, DecryptError) as error:
        messages.error(request, str(error))
    else:
        until = (
            f" It is renewed by itself; the present token is good until {grant.expires_at:%Y-%m-%d %H:%M} UTC." if grant.expires_at else ""
        )
        messages.success(request, f"{integration.name} is connected.{until if text_of(grant.refresh_token) else ''}")
    return _page_of(request, integration.pk)


def _page_of(request: HttpRequest, integration_id: uuid.UUID | None) -> HttpResponseRedirect:
    if integration_id is not None and Integration.objects.filter(pk=integration_id).exists():
        return HttpResponseRedirect(reverse("admin:integrations_integration_change", args=[integration_id]))
    return HttpResponseRedirect(reverse("admin:integrations_integration_changelist"))
