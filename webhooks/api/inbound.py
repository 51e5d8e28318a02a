"""Inbound sources and what they received."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from access.owners import resolve_owner
from access.principals import principal
from core.api.serializers import NothingSerializer
from core.api.viewsets import CreateRow, DestroyRow, ListRows, RetrieveRow, UpdateRow
from core.errors import InvalidInput, NotAllowed
from webhooks.api.filters import TimeFilter
from webhooks.api.inbound_serializers import (
    BackfillSerializer,
    CreatedInboundSourceSerializer,
    InboundSourceSerializer,
    ReceiptDetailSerializer,
    ReceiptSerializer,
    ReprocessAnswerSerializer,
    ReprocessSerializer,
    RequestBackfillSerializer,
    RotateInboundSecretSerializer,
    SampleResultSerializer,
    SendSampleSerializer,
)
from webhooks.choices import BackfillStatus, ReceiptOutcome, Verdict
from webhooks.inbound import reprocess, samples, sources
from webhooks.inbound.backfill_start import request_backfill
from webhooks.inbound.missed import shown_backfills, with_status
from webhooks.inbound.selectors import live_sources, of_verdict, shown_receipts, shown_request
from webhooks.models import InboundBackfill, InboundSource, Receipt

# what a PUT leaves out becomes what a new source would have; secret, owner and whether it is active stay
_DEFAULTS: dict[str, Any] = {
    "config": {},
    "allowed_cidrs": [],
    "provider_addresses": False,
    "integration_id": None,
    "is_default": False,
    "validate_schema": False,
    "silence_seconds": None,
}
_OUTCOMES = [choice for choice in ReceiptOutcome.choices if choice[0] not in ("", ReceiptOutcome.DUPLICATE)]


class InboundSourceFilter(django_filters.FilterSet):
    """By provider, name, and whether they are active."""

    provider = django_filters.CharFilter(max_length=40, label="Key of the connector.")
    name = django_filters.CharFilter(max_length=100, label="The name, in full.")
    active = django_filters.BooleanFilter()

    class Meta:
        model = InboundSource
        fields: list[str] = []


class ReceiptFilter(TimeFilter):
    """By source, verdict, outcome, the provider's word for the event, and time."""

    source = django_filters.UUIDFilter(field_name="source_id", label="Id of the source.")
    verdict = django_filters.ChoiceFilter(choices=Verdict.choices, method="by_verdict")
    outcome = django_filters.ChoiceFilter(choices=_OUTCOMES, label="What came of an authentic one.")
    event = django_filters.CharFilter(max_length=100, label="The provider's word, in full.")

    class Meta:
        model = Receipt
        fields: list[str] = []

    def by_verdict(self, queryset: QuerySet[Receipt], name: str, value: str) -> QuerySet[Receipt]:
        """Apply `verdict`."""
        return of_verdict(queryset, value)


class InboundSourceViewSet(
    ListRows[InboundSource], RetrieveRow[InboundSource], CreateRow[InboundSource], UpdateRow[InboundSource], DestroyRow[InboundSource]
):
    """Who may send webhooks here. A secret is in the answer that creates or rotates it, and nowhere else."""

    scope_resource = "inbound"
    queryset = live_sources()
    serializer_class = InboundSourceSerializer
    created_serializer_class = CreatedInboundSourceSerializer
    filterset_class = InboundSourceFilter

    def create_row(self, data: dict[str, Any]) -> InboundSource:
        """Create a source for the owner named, else for the caller's own."""
        who = principal(self.request)
        data["owner_id"] = resolve_owner(data.pop("owner"), who) if "owner" in data else who.default_owner_id
        self._refuse_default(data)
        secret = data.pop("secret", None)
        source, secret = sources.create_source(data, secret=secret)  # type: ignore[arg-type]
        return _with_secret(source, secret)

    def update_row(self, row: InboundSource, data: dict[str, Any]) -> InboundSource:
        """Change a source; its provider and owner stay."""
        if "owner" in data:
            data["owner_id"] = resolve_owner(data.pop("owner"), principal(self.request))
        if self.action == "update":
            data = _DEFAULTS | data
        self._refuse_default(data, row)
        secret = data.pop("secret", None)
        source = sources.update_source(row, data, secret=secret)  # type: ignore[arg-type]
        return live_sources().get(pk=source.pk)

    def delete_row(self, row: InboundSource) -> None:
        """Delete a source: nothing is received there any more, and its receipts go within hours."""
        sources.delete_source(row)

    @extend_schema(request=RotateInboundSecretSerializer, responses={200: CreatedInboundSourceSerializer})
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, id: str) -> Response:
        """Make a new secret; requests are verified by both until the overlap ends."""
        values = self.checked_data(RotateInboundSecretSerializer)
        source = self.get_object()
        secret = sources.rotate_secret(source, values.get("overlap_hours"), values.get("secret"))
        return self.answer(_with_secret(source, secret), serializer_class=CreatedInboundSourceSerializer)

    @extend_schema(request=SendSampleSerializer, responses={200: SampleResultSerializer})
    @action(detail=True, methods=["post"], url_path="send-sample")
    def send_sample(self, request: Request, id: str) -> Response:
        """Receive a sample of what the platform sends, signed with the source's own secret, and processed like any other."""
        source, values = self.get_object(), self.checked_data(SendSampleSerializer)
        return self.answer(samples.send_sample(source, values["event"]), serializer_class=SampleResultSerializer)

    @extend_schema(request=NothingSerializer, responses={200: InboundSourceSerializer})
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, id: str) -> Response:
        """Receive again."""
        self.checked_data(NothingSerializer)
        return self.answer(sources.enable(self.get_object()))

    @extend_schema(request=NothingSerializer, responses={200: InboundSourceSerializer})
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, id: str) -> Response:
        """Refuse everything until it is enabled."""
        self.checked_data(NothingSerializer)
        return self.answer(sources.disable(self.get_object()))

    @extend_schema(request=RequestBackfillSerializer, responses={202: BackfillSerializer})
    @action(detail=True, methods=["post"])
    def backfill(self, request: Request, id: str) -> Response:
        """Have the platform send again what it delivered and what did not arrive; `inbound-backfills/{id}` says how far that is."""
        values = self.checked_data(RequestBackfillSerializer)
        made = request_backfill(self.get_object(), values.get("since"))
        return self.answer(made, status.HTTP_202_ACCEPTED, BackfillSerializer)

    def _refuse_default(self, data: dict[str, Any], row: InboundSource | None = None) -> None:
        # the address without an id is everybody's
        if data.get("is_default") and not (row and row.is_default) and not principal(self.request).is_admin:
            raise NotAllowed("is_default: only an admin may say who receives at the provider's address without an id.")


class BackfillFilter(django_filters.FilterSet):
    """By source and by where they stand."""

    source = django_filters.UUIDFilter(field_name="source_id", label="Id of the source.")
    status = django_filters.ChoiceFilter(choices=BackfillStatus.choices, method="by_status")

    class Meta:
        model = InboundBackfill
        fields: list[str] = []

    def by_status(self, queryset: QuerySet[InboundBackfill], name: str, value: str) -> QuerySet[InboundBackfill]:
        """Apply `status`."""
        return with_status(queryset, value)


class BackfillViewSet(ListRows[InboundBackfill], RetrieveRow[InboundBackfill]):
    """Requests for missed deliveries, newest first. They are started by `POST inbound-sources/{id}/backfill`, and by the portal."""

    scope_resource = "inbound"
    queryset = shown_backfills()
    serializer_class = BackfillSerializer
    filterset_class = BackfillFilter


class ReceiptViewSet(ListRows[Receipt], RetrieveRow[Receipt]):
    """What came in, newest first. A duplicate of a processed request is counted on the first, and not listed again."""

    scope_resource = "inbound"
    queryset = shown_receipts()
    serializer_class = ReceiptSerializer
    filterset_class = ReceiptFilter

    def get_queryset(self) -> QuerySet[Receipt]:
        """Return the receipts; a single one also when it is a duplicate, as its sender was told its id."""
        return shown_receipts(duplicates=getattr(self, "detail", False))

    @extend_schema(responses={200: ReceiptDetailSerializer})
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer one request with its headers and body."""
        return self._detail(self.get_object())

    @extend_schema(request=NothingSerializer, responses={202: ReceiptDetailSerializer})
    @action(detail=True, methods=["post"])
    def reprocess(self, request: Request, id: str) -> Response:
        """Interpret it again. Events that it became before are not published twice."""
        self.checked_data(NothingSerializer)
        return self._detail(reprocess.reprocess(self.get_object()), status.HTTP_202_ACCEPTED)

    @extend_schema(operation_id="inbound_events_reprocess_range", request=ReprocessSerializer, responses={202: ReprocessAnswerSerializer})
    @action(detail=False, methods=["post"], url_path="reprocess")
    def reprocess_range(self, request: Request) -> Response:
        """Interpret those of a time range again that failed, or had another outcome."""
        values = self.checked_data(ReprocessSerializer)
        source = None
        if "source" in values:
            source = self.scoped(live_sources()).filter(id=values.pop("source")).first()
            if source is None:
                raise InvalidInput.of("source", "is not an inbound source that you can see.")
        found = reprocess.reprocess_range(self.scoped(Receipt.objects.all()), source=source, **values)
        return self.answer(found, status.HTTP_202_ACCEPTED, ReprocessAnswerSerializer)

    def _detail(self, receipt: Receipt, status_code: int = status.HTTP_200_OK) -> Response:
        receipt.shown = shown_request(receipt)  # type: ignore[attr-defined]  # what the serializer shows
        return self.answer(receipt, status_code, ReceiptDetailSerializer)


def _with_secret(source: InboundSource, secret: str | None) -> InboundSource:
    loaded = live_sources().get(pk=source.pk)
    loaded.secret = secret  # type: ignore[attr-defined]  # what CreatedInboundSourceSerializer shows
    return loaded
