"""Believes only our own proxies, names who acts, counts what keys do, and tells them their rate."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from access import addresses
from access.throttling import rate_state
from access.usage import count_use
from core import context
from core.api.errors import is_api


class ForwardedProtoMiddleware:
    """Drops X-Forwarded-Proto unless one of settings.TRUSTED_PROXIES sent it; must come before whatever asks for is_secure()."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle one request."""
        if not addresses.from_trusted_proxy(request):
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
        return self.get_response(request)


class ActorMiddleware:
    """For pages: the session's user acts. For the API the authentication classes name the key or user."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle one request."""
        addresses.remember(addresses.client_address(request))
        if not is_api(request) and request.user.is_authenticated:
            context.set_actor(context.Actor("user", str(request.user.pk), f"user {request.user.get_username()}"))
        response = self.get_response(request)
        key = getattr(request, "access_key", None)
        if key is not None:
            count_use(key, request, response.status_code)
        if state := rate_state(request):
            for name, value in state.headers().items():
                response.headers[name] = value
        return response
