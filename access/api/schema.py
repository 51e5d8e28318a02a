"""Describes the authentication classes to drf-spectacular."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer rg_…`."""

    target_class = "access.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return the scheme."""
        return {"type": "http", "scheme": "bearer", "description": "An API key, made by `manage.py createapikey` or in the admin."}


class AdminSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The admin site's session cookie."""

    target_class = "access.authentication.AdminSessionAuthentication"
    name = "session"  # after apiKey in lists that sort by name: people take the first

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return the scheme."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "Nothing to enter here: log in at /admin/ first."}
