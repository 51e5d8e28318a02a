"""Webhooks."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from access.owners import resolve_owner
from access.principals import principal
from core.api.serializers import NothingSerializer
from core.api.viewsets import CreateRow, DestroyRow, ListRows, RetrieveRow, UpdateRow
from core.errors import InvalidInput
from integrations.models import Repository
from integrations.selectors.repositories import repositories_by_id
from webhooks import services
from webhooks.api.delivery_serializers import DeliverySerializer
from webhooks.api.filters import WebhookDeliveryFilter, WebhookFilter
from webhooks.api.previews import PreviewAction
from webhooks.api.replays import RecoverAction
from webhooks.api.webhook_serializers import (
    CreatedWebhookSerializer,
    RotateSecretSerializer,
    SendTestSerializer,
    WebhookSerializer,
    WebhookStatsSerializer,
)
from webhooks.choices import Lane
from webhooks.destinations.checks import pick_integration
from webhooks.destinations.templates import pick_template
from webhooks.models import Webhook
from webhooks.models.webhook import DEFAULT_CONCURRENCY
from webhooks.selectors import deliveries, shown_headers, shown_webhooks, stats
from webhooks.services import WebhookValues

# what a PUT leaves out becomes what a new webhook would have; secret, headers, status and owner stay
_DEFAULTS: dict[str, Any] = {
    "url": "",
    "integration_id": None,
    "destination": {},
    "payload_template_id": None,
    "filter": None,
    "routing": None,
    "retry_config": None,
    "rate_limit": None,
    "concurrency": DEFAULT_CONCURRENCY,
    "priority": Lane.NORMAL,
    "repositories": [],
}


class WebhookViewSet(
    ListRows[Webhook], RetrieveRow[Webhook], CreateRow[Webhook], UpdateRow[Webhook], DestroyRow[Webhook], RecoverAction, PreviewAction
):
    """Endpoints that events are sent to. A secret is in the answer that creates or rotates it, and nowhere else."""

    scope_resource = "webhooks"
    scope_resources = {"deliveries": "deliveries", "recover": "deliveries"}
    queryset = shown_webhooks()
    serializer_class = WebhookSerializer
    created_serializer_class = CreatedWebhookSerializer
    filterset_class = WebhookFilter
    list_actions = {"deliveries": WebhookDeliveryFilter}

    def create_row(self, data: dict[str, Any]) -> Webhook:
        """Create a webhook for the owner named, else for the caller's own."""
        who = principal(self.request)
        data["owner_id"] = resolve_owner(data.pop("owner"), who) if "owner" in data else who.default_owner_id
        secret = data.pop("secret", None)
        self._load_repositories(data)
        self._load_integration(data)
        self._load_template(data)
        webhook, secret = services.create_webhook(WebhookValues(**data), secret=secret)  # type: ignore[typeddict-item]
        return _with_secret(webhook, secret)

    def update_row(self, row: Webhook, data: dict[str, Any]) -> Webhook:
        """Change a webhook; its owner stays, as its log says whose it is."""
        if "owner" in data:
            data["owner_id"] = resolve_owner(data.pop("owner"), principal(self.request))
        if data.get("headers", ()) is None and shown_headers(row) is None:  # unreadable, as they were shown
            del data["headers"]
        if self.action == "update":
            data = _DEFAULTS | data
        secret = data.pop("secret", None)
        self._load_repositories(data, known={link.repository_id for link in row.webhookrepository_set.all()})
        self._load_integration(data, row)
        self._load_template(data, row)
        webhook = services.update_webhook(row, WebhookValues(**data), secret=secret)  # type: ignore[typeddict-item]
        return shown_webhooks().get(id=webhook.id)

    def delete_row(self, row: Webhook) -> None:
        """Delete a webhook; its waiting deliveries are not sent any more and its log goes within hours."""
        services.delete_webhook(row)

    @extend_schema(request=SendTestSerializer, responses={202: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, id: str) -> Response:
        """Send a test to this webhook only, through the same engine; look at the delivery for what came of it."""
        values = self.checked_data(SendTestSerializer)
        delivery = services.send_test(self.get_object(), values.get("event_type"))
        return self.answer(deliveries().get(id=delivery.id), status.HTTP_202_ACCEPTED, DeliverySerializer)

    @extend_schema(request=RotateSecretSerializer, responses={200: CreatedWebhookSerializer})
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, id: str) -> Response:
        """Make a new secret; requests are signed with both until the overlap ends."""
        values = self.checked_data(RotateSecretSerializer)
        webhook = self.get_object()
        secret = services.rotate_secret(webhook, values.get("overlap_hours"), values.get("secret"))
        return self.answer(_with_secret(webhook, secret), serializer_class=CreatedWebhookSerializer)

    @extend_schema(request=NothingSerializer, responses={200: WebhookSerializer})
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, id: str) -> Response:
        """Switch a webhook on and end its hold: what is parked leaves now."""
        self.checked_data(NothingSerializer)
        return self.answer(services.enable(self.get_object()))

    @extend_schema(request=NothingSerializer, responses={200: WebhookSerializer})
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, id: str) -> Response:
        """Switch a webhook off: its deliveries are parked until it is enabled."""
        self.checked_data(NothingSerializer)
        return self.answer(services.disable(self.get_object()))

    @extend_schema(responses={200: WebhookStatsSerializer})
    @action(detail=True, methods=["get"])
    def stats(self, request: Request, id: str) -> Response:
        """Answer how many deliveries there are of each kind, and how the endpoint does."""
        return self.answer(stats(self.get_object().id), serializer_class=WebhookStatsSerializer)

    @extend_schema(responses=DeliverySerializer(many=True))
    @action(detail=True, methods=["get"])
    def deliveries(self, request: Request, id: str) -> Response:
        """List the deliveries of a webhook, newest first."""
        return self.page(deliveries().filter(webhook_id=self.get_object().id), DeliverySerializer)

    def _load_integration(self, data: dict[str, Any], row: Webhook | None = None) -> None:
        """Turn the integration's id into its row."""
        if "integration_id" not in data and "destination" not in data:
            return
        stored_id = row.integration_id if row else None
        wanted = data.pop("integration_id", stored_id)
        new_options = row is not None and data.get("destination", row.destination) != row.destination
        found = pick_integration(wanted, principal(self.request), stored_id, options_change=new_options)
        if wanted != stored_id:
            data["integration"] = found

    def _load_template(self, data: dict[str, Any], row: Webhook | None = None) -> None:
        """Turn the payload template's id into its row."""
        if "payload_template_id" in data:
            stored_id = row.payload_template_id if row else None
            data["payload_template"] = pick_template(data.pop("payload_template_id"), principal(self.request), stored_id)

    def _load_repositories(self, data: dict[str, Any], known: Collection[uuid.UUID] = ()) -> None:
        """Turn ids into rows; those that the webhook has already may be sent back, also when the caller can't see them."""
        if "repositories" not in data:
            return
        wanted = set(data["repositories"])
        rows = repositories_by_id(wanted, principal(self.request))
        missing = wanted - {row.id for row in rows} - set(known)
        if missing:
            raise InvalidInput.of("repositories", f"{min(map(str, missing))} is not a repository that you can see.")
        rows += [Repository(id=id) for id in wanted - {row.id for row in rows}]
        data["repositories"] = rows


def _with_secret(webhook: Webhook, secret: str) -> Webhook:
    loaded = shown_webhooks().get(id=webhook.id)
    loaded.secret = secret  # type: ignore[attr-defined]  # what CreatedWebhookSerializer shows
    return loaded
