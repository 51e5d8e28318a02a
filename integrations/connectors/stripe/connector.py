"""Stripe's webhooks: https://docs.stripe.com/webhooks/signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core import signing
from core.signing import BadSignatureError, Scheme
from integrations.choices import Category
from integrations.contract import payloads
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.payloads import json_object, moment, peek, text
from integrations.contract.simulated import Message, Signed, Simulated, read_samples

_HEADER = "stripe-signature"
_API_KEYS = ("sk_", "rk_", "pk_")


class Stripe(Simulated):
    """An account at Stripe, which tells of payments."""

    key = "stripe"
    title = "Stripe"
    description = "Tells of payments, invoices and subscriptions."
    categories = (Category.ANALYTICS,)
    docs = "https://docs.stripe.com/webhooks"
    samples = read_samples(__file__)
    key_help = "At Stripe: Developers → Webhooks → the destination, Reveal. It begins with whsec_."
    secret_is_given = True

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check the signatures of version 1 over time and body. The key is the secret's whole text, with its whsec_."""
        parts = [item.strip().partition("=")[::2] for item in signing.header_value(request.headers, _HEADER).split(",")]
        stamps = [value for name, value in parts if name == "t"]
        if len(stamps) != 1:
            raise BadSignatureError(f"{_HEADER} has {len(stamps)} times instead of one: it was doubled, or is no signature of Stripe.")
        signing.check_time(stamps[0], now.timestamp(), signing.TOLERANCE_SECONDS, f"t in {_HEADER}")
        given = [value for name, value in parts if name == "v1"]
        signing.check_macs(Scheme(_HEADER), secrets, given, [f"{stamps[0]}.".encode(), request.body])
        payload = peek(request.body)
        return Verified(text(payload.get("id")), text(payload.get("type")))

    @classmethod
    def secret_problem(cls, secret: str, config: Mapping[str, Any]) -> str:
        """Look for an API key, which is easily taken for the signing secret."""
        if secret.startswith(_API_KEYS):
            return f"is an API key; the signing secret begins with {signing.PREFIX}."
        return super().secret_problem(secret, config)

    @classmethod
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return the signature of version 1 over time and body."""
        proof = signing.mac(Scheme(_HEADER), secret, [f"{message.stamp}.".encode(), message.body])
        return Signed({"Stripe-Signature": f"t={message.stamp},v1={proof}"})

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return the event under Stripe's own name, such as inbound.stripe.invoice.paid."""
        payload = json_object(request.body)
        return [payloads.other("stripe", verified.event, payload, occurred_at=moment(payload.get("created")))]
