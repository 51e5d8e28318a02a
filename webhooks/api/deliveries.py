"""The delivery log."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.serializers import NothingSerializer
from core.api.viewsets import ListRows, RetrieveRow
from webhooks import services
from webhooks.api.delivery_serializers import DeliveryDetailSerializer, DeliverySerializer
from webhooks.api.filters import DeliveryFilter
from webhooks.models import WebhookDelivery
from webhooks.selectors import deliveries, follow_up, latest_attempts


class DeliveryViewSet(ListRows[WebhookDelivery], RetrieveRow[WebhookDelivery]):
    """What was sent to whom, how often, and with which result."""

    scope_resource = "deliveries"
    queryset = WebhookDelivery.objects.all()
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        """Return the deliveries as of now: whether one is parked depends on the time."""
        return deliveries()

    @extend_schema(responses={200: DeliveryDetailSerializer})
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer one delivery with its body and its latest attempts."""
        return self._detail(self.get_object())

    @extend_schema(request=NothingSerializer, responses={202: DeliveryDetailSerializer})
    @action(detail=True, methods=["post"])
    def redeliver(self, request: Request, id: str) -> Response:
        """Send it again now, from the start of its schedule. The event keeps its id, so that receivers can tell."""
        self.checked_data(NothingSerializer)
        delivery = services.redeliver(self.get_object())
        return self._detail(deliveries().get(id=delivery.id), status.HTTP_202_ACCEPTED)

    @extend_schema(request=NothingSerializer, responses={200: DeliveryDetailSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, id: str) -> Response:
        """Give a waiting delivery up."""
        self.checked_data(NothingSerializer)
        delivery = services.cancel(self.get_object())
        return self._detail(deliveries().get(id=delivery.id))

    def _detail(self, delivery: WebhookDelivery, status_code: int = status.HTTP_200_OK) -> Response:
        delivery.shown_attempts = latest_attempts(delivery)  # type: ignore[attr-defined]  # what the serializer shows
        delivery.shown_follow_up = follow_up(delivery)  # type: ignore[attr-defined]
        return self.answer(delivery, status_code, DeliveryDetailSerializer)
