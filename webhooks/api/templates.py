"""Making an integration, endpoints and webhooks from a template."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.serializers import OwnerField
from access.principals import principal
from access.scopes import WRITE
from core import redact
from core.api.idempotency import HEADER
from core.api.serializers import StrictSerializer
from core.errors import InvalidInput, NotAllowed
from core.http.custom_headers import MASK
from integrations.checking import CheckReport
from templates_app.api.views import TemplateViewSet
from templates_app.models import IntegrationTemplate
from webhooks.api.previews import as_json as as_shown
from webhooks.models import Webhook
from webhooks.services.templates import Made, instantiate, require_good, try_out

_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
_REQUEST = {
    "name": "Tickets of the payments team",
    "values": {"base_url": "https://tickets.example.com/api", "token": "a-token-of-yours"},
    "dry_run": True,
    "test": True,
}
_ANSWER: dict[str, Any] = {
    "dry_run": False,
    "test": {"ok": True, "message": "GET /health answered 200 in 84 ms.", "error_class": "", "duration_ms": 84.1},
    "integration": {
        "id": _ID,
        "name": "Tickets of the payments team",
        "type": "http",
        "category": "development",
        "environment": "production",
        "criticality": "important",
        "status": "active",
        "config": {"base_url": "https://tickets.example.com/api", "auth": "bearer", "health_path": "/health"},
        "credentials": {"token": {"set": True}},
    },
    "endpoints": [{"id": _ID, "name": "get-issue", "method": "GET", "path": "/issues/{id}", "description": ""}],
    "webhooks": [
        {
            "id": _ID,
            "name": "Tickets",
            "url": "",
            "destination": {"path": "/events"},
            "events": ["finding.opened"],
            "headers": {},
            "secret": "whsec_bm90IGEgcmVhbCBzZWNyZXQsIGp1c3QgYW4gZXhhbXBsZQ==",
        }
    ],
}


@extend_schema_serializer(examples=[OpenApiExample("Look first, and test the connection", value=_REQUEST, request_only=True)])
class InstantiateSerializer(StrictSerializer):
    """What to make of the template."""

    name = serializers.CharField(max_length=100, help_text="Of the new integration.")
    values = serializers.DictField(required=False, default=dict, help_text="What the template's `config.schema` asks for.")
    owner = OwnerField()
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Answer what would be made, and make nothing.")
    test = serializers.BooleanField(
        required=False, default=False, help_text="Test the connection first; if it fails nothing is made. Not with an Idempotency-Key."
    )


@extend_schema_serializer(examples=[OpenApiExample("Made, with the webhook's secret, this once", value=_ANSWER, response_only=True)])
class MadeSerializer(serializers.Serializer[Any]):
    """What was made, or in a dry run what would be; then there are neither ids nor secrets."""

    dry_run = serializers.BooleanField()
    test = serializers.DictField(allow_null=True, help_text="The report of the connection test, null without one.")
    integration = serializers.DictField()
    endpoints = serializers.ListField(child=serializers.DictField())
    webhooks = serializers.ListField(child=serializers.DictField())


class InstantiableTemplateViewSet(TemplateViewSet):
    """Blueprints from which integrations with endpoints and webhooks are made."""

    scope_resources = {"instantiate": "integrations"}

    @extend_schema(request=InstantiateSerializer, responses={200: MadeSerializer, 201: MadeSerializer})
    @action(detail=True, methods=["post"])
    def instantiate(self, request: Request, id: str) -> Response:
        """Make the integration, its endpoints and webhooks in one transaction; a dry run (200) shows what would be made.

        Templates with webhooks need the scope `webhooks:write` as well. Secrets of webhooks are in this answer only.
        """
        template = self.get_object()
        data = self.checked_data(InstantiateSerializer)
        owner_id = self._owner(data)
        self._require_scopes(template)
        dry_run, report = data["dry_run"], None
        if data["test"]:
            if HEADER in request.headers:  # what is kept by a key runs in one transaction, and a test calls out
                raise InvalidInput.of("test", f"can't be combined with an {HEADER}; test in a dry run first.")
            report = try_out(template, data["name"], data["values"], owner_id)
            if not dry_run:
                require_good(report)
        made = instantiate(template, data["name"], data["values"], owner_id, dry_run=dry_run)
        return Response(as_json(made, report, dry_run=dry_run), status.HTTP_200_OK if dry_run else status.HTTP_201_CREATED)

    def _require_scopes(self, template: IntegrationTemplate) -> None:
        scope = f"webhooks:{WRITE}"
        if template.webhooks and scope not in principal(self.request).scopes:
            raise NotAllowed(f"This template makes webhooks, so this key needs the scope {scope} as well.")


def as_json(made: Made, report: CheckReport | None, *, dry_run: bool) -> dict[str, Any]:
    """Return what the answer shows: never credentials, and signing secrets only where the webhooks were really made."""
    row = made.integration
    names = ("name", "type", "category", "environment", "criticality", "status", "config", "purpose", "sla_availability", "sla_response_ms")
    test = (
        {"ok": report.ok, "message": report.message, "error_class": report.error_class, "duration_ms": report.duration_ms}
        if report
        else None
    )
    return {
        "dry_run": dry_run,
        "test": test,
        "integration": {
            **({} if dry_run else {"id": str(row.id)}),
            **{name: getattr(row, name) for name in names},
            "credentials": {name: {"set": True} for name in made.credentials_set},
        },
        "endpoints": [
            {
                **({} if dry_run else {"id": str(endpoint.id)}),
                **{name: getattr(endpoint, name) for name in ("name", "method", "path", "description", "cache_seconds", "scope")},
            }
            for endpoint in made.endpoints
        ],
        "webhooks": [_webhook(webhook, made, dry_run=dry_run) for webhook in made.webhooks],
    }


def _webhook(webhook: Webhook, made: Made, *, dry_run: bool) -> dict[str, Any]:
    shown = {
        "name": webhook.name,
        "url": redact.url(webhook.url) if webhook.url else "",
        "destination": webhook.destination,
        "events": webhook.events,
        "headers": dict.fromkeys(made.headers_set.get(webhook.id, ()), MASK),
    }
    if dry_run:
        return shown | {"message": as_shown(made.messages[webhook.id])}
    return {"id": str(webhook.id), **shown, "secret": made.secrets[webhook.id]}
