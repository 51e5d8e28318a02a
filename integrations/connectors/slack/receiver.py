"""Slack's requests: events, slash commands and interactions. https://docs.slack.dev/authentication/verifying-requests-from-slack/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from core import signing
from core.signing import Scheme
from integrations.contract import payloads
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.payloads import at, json_object, moment, peek, text
from integrations.contract.simulated import Message, Signed, Simulated, read_samples

_SCHEME = Scheme("x-slack-signature", prefix="v0=")
_TIME = "x-slack-request-timestamp"
_HANDSHAKE = "url_verification"
_MAX_FIELDS = 100
_SECRET = ("token", "response_url", "trigger_id")
"""What lets its holder answer in the app's name."""


class SlackReceiver(Simulated):
    """A Slack app, which passes on what happens in its workspace."""

    samples = read_samples(__file__)
    key_help = "At Slack: the app's Basic Information, Signing Secret."
    secret_is_given = True

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check the signature of version 0 over time and body."""
        stamp = signing.header_value(request.headers, _TIME)
        signing.check_time(stamp, now.timestamp(), signing.TOLERANCE_SECONDS, _TIME)
        signing.check_mac(_SCHEME, secrets, request.headers, [f"v0:{stamp}:".encode(), request.body])
        payload = _payload(request)
        kind = text(payload.get("type")) or ("command" if text(payload.get("command")) else "")
        if kind == "event_callback":
            kind = text(at(payload, "event", "type"))
        return Verified(text(payload.get("event_id")), kind)

    @classmethod
    def answer(cls, request: InboundRequest, verified: Verified) -> Mapping[str, Any] | None:
        """Return the challenge by which Slack sees that the address is this app's."""
        challenge = peek(request.body).get("challenge")
        return {"challenge": challenge} if verified.event == _HANDSHAKE and isinstance(challenge, str) else None

    @classmethod
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return the signature of version 0 over time and body."""
        proof = signing.mac_value(_SCHEME, secret, [f"v0:{message.stamp}:".encode(), message.body])
        return Signed({"X-Slack-Request-Timestamp": str(message.stamp), "X-Slack-Signature": proof})

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return the event without what would let others answer it; the handshake is none."""
        if verified.event == _HANDSHAKE:
            return []
        payload = _payload(request) or json_object(request.body)
        kept = {name: value for name, value in payload.items() if name not in _SECRET}
        return [payloads.other("slack", verified.event, kept, occurred_at=moment(payload.get("event_time")))]


def _payload(request: InboundRequest) -> dict[str, Any]:
    """Return what the body says: JSON, or a form whose field `payload` may hold the JSON."""
    if not request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        return peek(request.body)
    try:
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"))
    except ValueError:
        return {}
    return peek(form["payload"].encode()) if "payload" in form else dict(form)
