"""Recoveries: started on a webhook, then looked at and steered here."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.serializers import NothingSerializer
from core.api.viewsets import ListRows, PortalViewSet, RetrieveRow
from webhooks import services
from webhooks.api.replay_serializers import PreviewSerializer, RecoverSerializer, ReplayDetailSerializer, ReplaySerializer
from webhooks.models import Replay, Webhook
from webhooks.models.replay import ReplayStatus
from webhooks.recovery import with_status


class ReplayFilter(django_filters.FilterSet):
    """By webhook and by where they stand."""

    webhook = django_filters.UUIDFilter(field_name="webhook_id", label="Id of the webhook.")
    status = django_filters.ChoiceFilter(choices=ReplayStatus.choices, method="by_status")

    class Meta:
        model = Replay
        fields: list[str] = []

    def by_status(self, queryset: QuerySet[Replay], name: str, value: str) -> QuerySet[Replay]:
        """Apply `status`."""
        return with_status(queryset, value)


class RecoverAction(PortalViewSet[Webhook]):
    """POST webhooks/{id}/recover, for the viewset of webhooks."""

    @extend_schema(
        request=RecoverSerializer,
        responses={
            200: OpenApiResponse(PreviewSerializer, description="With dry_run: what would be sent."),
            202: OpenApiResponse(ReplaySerializer, description="The recovery that was started."),
        },
    )
    @action(detail=True, methods=["post"])
    def recover(self, request: Request, id: str) -> Response:
        """Send again what failed in a time range, at a capped rate; what succeeded since is skipped.

        The webhook must be active. One recovery of a webhook runs at a time; look at it and steer it at `replays/{id}`.
        """
        webhook = self.get_object()
        values = self.checked_data(RecoverSerializer)
        if values.pop("dry_run"):
            return self.answer(services.preview_recovery(webhook, values), serializer_class=PreviewSerializer)
        return self.answer(services.start_recovery(webhook, values), status.HTTP_202_ACCEPTED, ReplaySerializer)


class ReplayViewSet(ListRows[Replay], RetrieveRow[Replay]):
    """Recoveries of failed deliveries, newest first. They are started by `POST webhooks/{id}/recover`."""

    scope_resource = "deliveries"
    queryset = Replay.objects.select_related("webhook").defer("webhook__secrets", "webhook__headers")
    serializer_class = ReplaySerializer
    filterset_class = ReplayFilter

    @extend_schema(responses={200: ReplayDetailSerializer})
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer one recovery: how far it is, and what became of what it sent again."""
        return self.answer(self.get_object(), serializer_class=ReplayDetailSerializer)

    @extend_schema(request=NothingSerializer, responses={200: ReplaySerializer})
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, id: str) -> Response:
        """Requeue no more until it is resumed; it takes seconds. What was requeued before is still sent."""
        self.checked_data(NothingSerializer)
        return self.answer(services.pause_replay(self.get_object()))

    @extend_schema(request=NothingSerializer, responses={200: ReplaySerializer})
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, id: str) -> Response:
        """Go on where it stopped."""
        self.checked_data(NothingSerializer)
        return self.answer(services.resume_replay(self.get_object()))

    @extend_schema(request=NothingSerializer, responses={200: ReplaySerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, id: str) -> Response:
        """End it for good. What was requeued before is still sent."""
        self.checked_data(NothingSerializer)
        return self.answer(services.cancel_replay(self.get_object()))
