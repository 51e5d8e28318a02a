"""A provider for bench.inbound: it signs as GitHub does."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.errors import NotAllowed
from core.signing import hub_signature_256
from integrations.choices import Category
from integrations.contract.inbound import InboundEvent, InboundRequest, Receiver, Verified


class BenchProvider(Receiver):
    key, title, description, categories = "bench", "Bench", "Signs as GitHub does.", (Category.DEVELOPMENT,)

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        given = request.headers.get("x-hub-signature-256", "").encode()
        if not any(hmac.compare_digest(given, hub_signature_256(secret, request.body).encode()) for secret in secrets):
            raise NotAllowed("The signature does not fit.")
        return Verified(request.headers.get("x-bench-id", ""), "push")

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        return [InboundEvent("inbound.bench.push", {})]
