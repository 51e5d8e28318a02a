"""Who calls: an API key (`Authorization: Bearer rg_…`) or the session of somebody who may enter the admin site."""

from __future__ import annotations

import secrets
from typing import Any, NoReturn

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from access import addresses, keys, selectors
from access.models import ApiKey
from access.principals import KeyUser
from access.throttling import count_failure
from access.usage import note_use
from core import context

SCHEME = "Bearer"


class ApiKeyAuthentication(BaseAuthentication):
    """Sets request.user to the key's owner (or a KeyUser) and request.auth to the key."""

    def authenticate(self, request: Request) -> tuple[User | KeyUser, ApiKey] | None:
        """Return the caller, or None without an Authorization header; raises AuthenticationFailed and NotAllowed."""
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return None
        scheme, _, text = header.partition(" ")
        if scheme.lower() != SCHEME.lower():
            self._fail(request, "invalid_key", "Send the API key as Authorization: Bearer <key>.")
        key = self._find(request, text.strip())
        address = addresses.client_address(request._request)
        self._check(request, key, address)
        note_use(key, address)
        context.set_actor(context.Actor("key", str(key.id), f"key {key}"))
        request._request.access_key = key  # type: ignore[attr-defined]  # for counting its use, see access.middleware
        user = key.owner.user if key.owner is not None else None
        return (user or KeyUser(key)), key

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return f'{SCHEME} realm="RepoGuard"'

    def _find(self, request: Request, text: str) -> ApiKey:
        key = selectors.keys_for_use().filter(prefix=keys.prefix_of(text)).first() if keys.is_possible(text) else None
        if key is None or not secrets.compare_digest(key.key_hash, keys.hash_of(text)):
            self._fail(request, "invalid_key", "This API key is not known here. Check that it was copied whole.")
        return key

    def _check(self, request: Request, key: ApiKey, address: str | None) -> None:
        # these say what is wrong: whoever sent the whole key may know
        if key.revoked_at is not None:
            self._fail(request, "key_revoked", "This API key was revoked; ask for a new one.")
        if key.expires_at is not None and key.expires_at <= timezone.now():
            self._fail(request, "key_expired", f"This API key expired at {key.expires_at:%Y-%m-%d %H:%M} UTC; ask for a new one.")
        if key.owner is not None and key.owner.user is not None and not key.owner.user.is_active:
            self._fail(request, "owner_inactive", "The user who owns this API key is switched off.")
        if not addresses.is_allowed(address, key.allowed_cidrs):
            self._fail(request, "network_not_allowed", f"This API key may not be used from {address or 'an unknown address'}.")

    @staticmethod
    def _fail(request: Request, code: str, sentence: str) -> NoReturn:
        count_failure(request._request)
        raise AuthenticationFailed(sentence, code)


class AdminSessionAuthentication(SessionAuthentication):
    """The admin site's session, for staff, with Django's CSRF check for changing requests."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """Return the session's user, or None; raises PermissionDenied for a changing request without its CSRF token."""
        user: Any = getattr(request._request, "user", None)
        if user is None or isinstance(user, AnonymousUser) or not (user.is_active and user.is_staff):
            return None
        self.enforce_csrf(request)
        context.set_actor(context.Actor("user", str(user.pk), f"user {user.get_username()}"))
        return user, None
