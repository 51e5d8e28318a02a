"""Samples of what a platform sends: which there are, and sent to a source of this portal by the way that the network takes."""

from __future__ import annotations

import io
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.core.handlers.wsgi import WSGIRequest
from django.db import transaction
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core.errors import Conflict, InvalidInput, NotFound
from core.fields import DecryptError
from core.ids import is_uuid
from integrations.contract.simulated import SampleRequest, Simulated
from webhooks import secrets as signing
from webhooks.choices import Verdict
from webhooks.inbound.receive import Refused, receive
from webhooks.inbound.selectors import ADDRESS, live_sources, receiver_url, receivers
from webhooks.inbound.waking import waker
from webhooks.models import InboundSource


@dataclass(frozen=True)
class Sending:
    """Whose requests are made, and what they are signed with."""

    receiver: type[Simulated]
    config: Mapping[str, Any]
    secret: str = field(repr=False)


def simulators() -> list[type[Simulated]]:
    """Return the receivers whose platform's requests can be made, by key."""
    return [receiver for receiver in receivers() if issubclass(receiver, Simulated)]


def simulated(provider: str) -> type[Simulated]:
    """Return the receiver of a provider whose requests can be made; raises NotFound, which says which there are."""
    found = next((receiver for receiver in simulators() if receiver.key == provider), None)
    if found is None:
        known = ", ".join(receiver.key for receiver in simulators())
        raise NotFound(f"{ascii(provider)[1:-1][:40]!r} is no provider whose webhooks can be sent; there are {known}.")
    return found


def simulator_of(source: InboundSource) -> type[Simulated] | None:
    """Return what makes requests to a source, None where nothing can."""
    return next((receiver for receiver in simulators() if receiver.key == source.provider), None)


def of_source(source_id: str, provider: str | None = None) -> tuple[Sending, str]:
    """Return how requests to a source are signed, and its address. Raises NotFound, Conflict and InvalidInput."""
    source = live_sources().filter(id=source_id).first() if is_uuid(source_id) else None
    if source is None:
        raise NotFound("There is no inbound source with this id.")
    if provider and provider != source.provider:
        raise InvalidInput.of("provider", f"the source is one of {source.provider}; leave the provider out.")
    return sending_to(source), receiver_url(source)


def sending_to(source: InboundSource) -> Sending:
    """Return how requests to a source are signed: with its current secret. Raises Conflict and InvalidInput."""
    receiver = simulator_of(source)
    if receiver is None:
        raise Conflict(f"There are no samples of {source.provider}.", code="no_samples")
    try:
        stored = InboundSource.objects.values_list("secrets", flat=True).get(pk=source.pk)
    except DecryptError:
        raise InvalidInput.of("secret", "can't be decrypted with the keys that are configured; give the source a new one.") from None
    current = signing.signing_secrets(stored, timezone.now())
    if not current:
        raise InvalidInput.of("secret", "there is none: rotate the source's secret.")
    return Sending(receiver, source.config, current[0])


@dataclass(frozen=True)
class SampleResult:
    """What became of a sample: the receipt it was stored as, and why it was refused, if it was."""

    event: str
    verdict: Verdict
    receipt: uuid.UUID
    reason: str = ""


def send_sample(source: InboundSource, event: str) -> SampleResult:
    """Have a source receive a sample, signed with its own secret: verified, stored and interpreted as if it came over the network.

    Its allowed networks are not asked, as it comes from none. Raises InvalidInput for an event without a sample, Conflict for a
    source that is switched off, or whose provider has no samples.
    """
    if not source.active:
        raise Conflict("This inbound source is switched off; enable it first.", code="source_inactive")
    sending = sending_to(source)
    sending.receiver.sample(event)
    request = sending.receiver.request(event, sending.secret, sending.config, id=uuid.uuid4(), now=timezone.now())
    with transaction.atomic():
        audit.record(AuditVerb.ACTED, source, action="send-sample", changes={"event": [None, event]})
        try:
            received = receive(_arriving(request, source), sending.receiver, source.pk, here=True)
        except Refused as refused:
            return SampleResult(event, Verdict.REFUSED, refused.receipt_id, refused.message)
    transaction.on_commit(waker.notify)  # a worker that looked before saw nothing yet
    return SampleResult(event, Verdict.ACCEPTED, received.id)


def _arriving(request: SampleRequest, source: InboundSource) -> WSGIRequest:
    """Return the request as the web server would hand it over."""
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
    content_type = headers.pop("HTTP_CONTENT_TYPE")
    return WSGIRequest(
        {
            **headers,
            "REQUEST_METHOD": "POST",
            "PATH_INFO": f"/{ADDRESS}/{source.provider}/{source.pk}",
            "QUERY_STRING": urlencode(request.query),
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(request.body)),
            "wsgi.input": io.BytesIO(request.body),
        }
    )
