"""Bitbucket's webhooks. Cloud: https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core import signing
from core.errors import InvalidInput
from core.signing import Scheme
from integrations.choices import Category
from integrations.connectors.bitbucket import cloud, data_center
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.payloads import at, json_object, moment, other, peek, text
from integrations.contract.simulated import Message, Signed, Simulated, read_samples

# the header that GitHub uses for SHA-1; here it is SHA-256, in Cloud and in Data Center
_SCHEME = Scheme("x-hub-signature", prefix="sha256=")
# what is said about a pull request does not change its time
_ABOUT = frozenset({"approval", "changes_request", "comment"})
_OF_STATES = {
    "OPEN": ("pullrequest:created", "pullrequest:updated"),
    "MERGED": ("pullrequest:fulfilled",),
    "DECLINED": ("pullrequest:rejected",),
}
_DATA_CENTER = ("pr:", "repo:refs_changed", "diagnostics:")


class Bitbucket(Simulated):
    """Repositories at Bitbucket, which tell of pushes, pull requests and build statuses."""

    key = "bitbucket"
    title = "Bitbucket"
    description = "Tells of pushes, pull requests and build statuses, in Bitbucket Cloud and Data Center."
    categories = (Category.DEVELOPMENT,)
    docs = "https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/"
    samples = read_samples(__file__)
    key_help = "At Bitbucket: Repository settings → Webhooks, field Secret."

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check the signature over the body; without a secret at Bitbucket there is none, and the request is refused."""
        headers = request.headers
        signing.check_mac(_SCHEME, secrets, headers, [request.body])
        return Verified(text(headers.get("x-request-uuid") or headers.get("x-request-id")), text(headers.get("x-event-key")))

    @classmethod
    def body_is_unique(cls, request: InboundRequest, verified: Verified) -> bool:
        """Say so of bodies that tell when the change was made; the request's id and event are not signed. A push of Cloud does not tell."""
        payload = peek(request.body)
        keys = _fitting(payload)
        if keys and verified.event not in keys:
            raise InvalidInput.of("X-Event-Key", f"does not fit the body, which is that of {' or '.join(keys)}.")
        return bool(keys)

    @classmethod
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return the headers of Cloud, or, for the events that only Data Center has, of Data Center."""
        name = "X-Request-Id" if message.event.startswith(_DATA_CENTER) else "X-Request-UUID"
        proof = signing.mac_value(_SCHEME, secret, [message.body])
        return Signed({"X-Event-Key": message.event, name: message.id, "X-Hub-Signature": proof})

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return one event for each changed branch or tag of a push, else one."""
        if verified.event == "diagnostics:ping":  # Data Center's test, whose body is no event
            return [other("bitbucket", verified.event, {})]
        payload = json_object(request.body)
        if verified.event.startswith("pr:") or verified.event == "repo:refs_changed":
            return data_center.events(verified.event, payload)
        return cloud.events(verified.event, payload)


def _fitting(payload: dict[str, Any]) -> tuple[str, ...]:
    """Return the events whose body this is, none where it does not tell when something happened."""
    if moment(payload.get("date")) is not None:
        return tuple(filter(None, (text(payload.get("eventKey")),)))
    if moment(at(payload, "commit_status", "updated_on")) is not None:
        return cloud.BUILDS
    if payload.keys() & _ABOUT or moment(at(payload, "pullrequest", "updated_on")) is None:
        return ()
    return _OF_STATES.get(text(at(payload, "pullrequest", "state")), ())
