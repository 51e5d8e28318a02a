"""Events, and the catalogue of their types."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from access.principals import principal
from access.selectors import with_owner
from core.api.pagination import WholeList, whole_list
from core.api.viewsets import ListRows, PortalViewSet, RetrieveRow
from core.errors import InvalidInput, NotFound
from core.event_types import catalogue
from core.models import Event
from webhooks import services
from webhooks.api.event_serializers import (
    BatchAnswerSerializer,
    BatchSerializer,
    EventDetailSerializer,
    EventSerializer,
    EventTypeSerializer,
    PostEventSerializer,
)
from webhooks.api.filters import EventFilter
from webhooks.services.posting import MAX_EVENTS


class EventViewSet(ListRows[Event], RetrieveRow[Event]):
    """What happened. Events never change; posting one delivers it to every webhook that is subscribed to its type."""

    scope_resource = "events"
    queryset = with_owner(Event.objects.all())
    serializer_class = EventSerializer
    filterset_class = EventFilter

    def get_queryset(self) -> QuerySet[Event]:
        """Leave the data, which may be megabytes, to the detail."""
        rows = super().get_queryset()
        return rows if self.action == "retrieve" else rows.defer("payload")

    @extend_schema(responses={200: EventDetailSerializer})
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer one event with its data."""
        return self.answer(self.get_object(), serializer_class=EventDetailSerializer)

    @extend_schema(request=PostEventSerializer, responses={201: EventSerializer})
    def create(self, request: Request) -> Response:
        """Publish one event. It belongs to its repository's owner, else to the caller's own."""
        event = self._post([request.data])[0]
        return self.answer(self.get_queryset().get(id=event.id), status.HTTP_201_CREATED)

    @extend_schema(request=BatchSerializer, responses={201: BatchAnswerSerializer})
    @action(detail=False, methods=["post"])
    def batch(self, request: Request) -> Response:
        """Publish up to 1,000 events in one transaction: all of them or, where one is wrong, none."""
        body = request.data
        items = body.get("events") if isinstance(body, dict) else None
        if not isinstance(items, list) or not 1 <= len(items) <= MAX_EVENTS:
            raise InvalidInput.of("events", f"must be a list of 1 to {MAX_EVENTS} events.")
        if len(body) > 1:
            name = next(name for name in body if name != "events")
            raise InvalidInput.of(ascii(name)[1:-1][:100], "is not a known field. Known here: events.")
        events = self._post(items, path="events.{}")
        results = [
            {"index": index, "id": event.id, "type": event.type, "repository": event.repository_id} for index, event in enumerate(events)
        ]
        return self.answer({"ids": [event.id for event in events], "results": results}, status.HTTP_201_CREATED, BatchAnswerSerializer)

    def _post(self, items: list[Any], path: str = "") -> list[Event]:
        who = principal(self.request)
        return services.post_events(items, who, who.default_owner_id, path=path)


class EventTypeViewSet(PortalViewSet[Event]):
    """The types that events have, each with its schema and an example."""

    scope_resource = "event-types"
    queryset = Event.objects.none()
    serializer_class = EventTypeSerializer
    pagination_class = WholeList

    @extend_schema(responses={200: EventTypeSerializer(many=True)})
    def list(self, request: Request) -> Response:
        """List every type, by name; a name that ends in `.*` stands for a family."""
        return whole_list([EventTypeSerializer(event_type).data for event_type in catalogue.all()])

    @extend_schema(responses={200: EventTypeSerializer})
    def retrieve(self, request: Request, id: str) -> Response:
        """Answer one type, or the family that a name belongs to."""
        found = catalogue.types.get(id) or catalogue.find(id)
        if found is None:
            raise NotFound("There is no such event type; GET /api/v1/event-types lists them.")
        return self.answer(found)
