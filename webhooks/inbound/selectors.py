"""Reading inbound sources and receipts, and which providers there are."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q, QuerySet

from core import redact, runtime
from core.errors import InvalidInput, NotFound
from core.fields import DecryptError
from core.texts import storable
from integrations import registry
from integrations.contract.inbound import Receiver
from webhooks.choices import ReceiptOutcome, Verdict
from webhooks.inbound.keeping import kept
from webhooks.models import InboundSource, Receipt

ADDRESS = "api/v1/webhook"
SHOWN_BYTES = 64 * 1024
_SETTLED = [one for one in ReceiptOutcome if one not in (ReceiptOutcome.NONE, ReceiptOutcome.WAITING)]


def find_receiver(provider: str) -> type[Receiver]:
    """Return the connector that receives webhooks of a provider; raises NotFound."""
    try:
        connector = registry.find(provider)
    except InvalidInput:
        connector = None
    if connector is None or not issubclass(connector, Receiver):
        raise NotFound(f"No webhooks of {ascii(provider)[1:-1][:40]!r} are received here.", code="unknown_provider")
    return connector


def receivers() -> list[type[Receiver]]:
    """Return the connectors that receive webhooks, by key."""
    return [connector for connector in registry.with_capability(Receiver) if issubclass(connector, Receiver)]


def receiver_url(source: InboundSource) -> str:
    """Return the address that its provider sends to."""
    return f"{settings.PUBLIC_URL.rstrip('/')}/{ADDRESS}/{source.provider}/{source.pk}"


def live_sources() -> QuerySet[InboundSource]:
    """Return the sources that were not deleted, with owners, without their secrets."""
    return InboundSource.objects.filter(deleted_at__isnull=True).select_related("owner__user", "owner__team").defer("secrets")


def shown_receipts(*, duplicates: bool = False) -> QuerySet[Receipt]:
    """Return the receipts with their source's name. A duplicate is counted on its first receipt, and not listed unless asked for."""
    rows = Receipt.objects.filter(source__deleted_at__isnull=True).select_related("source").defer("source__secrets", "sealed")
    return rows if duplicates else rows.exclude(outcome=ReceiptOutcome.DUPLICATE)


def of_verdict(rows: QuerySet[Receipt], verdict: str) -> QuerySet[Receipt]:
    """Return the receipts with a verdict, which is also said by their outcomes: the indexes of these find what a source seldom has."""
    rows = rows.filter(verdict=verdict)
    if verdict == Verdict.REFUSED:
        return rows.filter(outcome=ReceiptOutcome.NONE)
    # apart, as the index of a source's outcomes leaves out those that wait
    return rows.filter(Q(outcome__in=_SETTLED) | Q(outcome=ReceiptOutcome.WAITING))


@dataclass(frozen=True)
class Shown:
    """A request as people may see it; None for what can't be decrypted, or is not shown by the settings."""

    headers: dict[str, str] | None = None
    body: str | None = None
    truncated: bool = False
    dropped: tuple[str, ...] = ()


def shown_request(receipt: Receipt) -> Shown:
    """Return headers and the start of the body, with secrets masked."""
    try:
        found = kept(receipt)
    except DecryptError:
        return Shown()
    headers, body = redact.headers(found.request.headers), found.request.body
    if not runtime.current().log_request_bodies:
        return Shown(headers, dropped=found.dropped)
    whole = len(body) if found.dropped else receipt.size
    text = body[:SHOWN_BYTES].decode("utf-8", "replace")
    return Shown(headers, storable(redact.body(text)), whole > min(len(body), SHOWN_BYTES), found.dropped)
