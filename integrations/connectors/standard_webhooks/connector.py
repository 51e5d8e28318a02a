"""Standard Webhooks (https://www.standardwebhooks.com), also under the header names that Svix uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core import signing
from integrations.choices import Category
from integrations.contract import payloads
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.payloads import json_object, moment, peek, text
from integrations.contract.simulated import Message, Signed, Simulated, read_samples, standard_headers

_NAMES = (signing.ID_HEADER, signing.TIMESTAMP_HEADER, signing.SIGNATURE_HEADER)
_SVIX_NAMES = ("svix-id", "svix-timestamp", "svix-signature")


class StandardWebhooks(Simulated):
    """Any sender that follows the specification."""

    key = "standard_webhooks"
    title = "Standard Webhooks"
    description = "Any sender that signs as Standard Webhooks says, such as those that use Svix, or another RepoGuard."
    categories = (Category.DEVELOPMENT, Category.MONITORING, Category.SECURITY, Category.ANALYTICS)
    docs = "https://www.standardwebhooks.com"
    samples = read_samples(__file__)
    key_help = "What the sender shows: whsec_… or its public key whpk_…."
    secret_is_given = True

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check a signature over id, time and body: an HMAC for a whsec_ secret, Ed25519 for a whpk_ key."""
        # both sets of names are the same scheme with the same key: which is there weakens nothing
        svix = _SVIX_NAMES[2] in request.headers and _NAMES[2] not in request.headers
        names = _SVIX_NAMES if svix else _NAMES
        signing.verify(secrets, request.headers, request.body, now.timestamp(), names=names)
        return Verified(text(request.headers[names[0]]), text(peek(request.body).get("type")))

    @classmethod
    def secret_problem(cls, secret: str, config: Mapping[str, Any]) -> str:
        """Look for base64, with a prefix of the specification or without."""
        return signing.key_problem(secret, (signing.PREFIX, signing.PUBLIC_PREFIX, ""))

    @classmethod
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return id, time and an HMAC over both and the body."""
        return Signed(standard_headers(message, secret))

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return the event under the sender's own name."""
        payload = json_object(request.body)
        return [payloads.other("standard_webhooks", verified.event, payload, occurred_at=moment(payload.get("timestamp")))]
