"""The other side of every receiver: what signs requests as the platform does, without the portal's own code.

SENDERS names each way of proving itself that a receiver knows; its contract tests and the table of hostile requests use them.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from integrations.connectors.alertmanager.connector import Alertmanager
from integrations.connectors.bitbucket.connector import Bitbucket
from integrations.connectors.circleci.connector import CircleCI
from integrations.connectors.generic.connector import Generic
from integrations.connectors.gitlab.connector import GitLab
from integrations.connectors.jenkins.connector import Jenkins
from integrations.connectors.pagerduty.connector import PagerDuty
from integrations.connectors.slack.connector import Slack
from integrations.connectors.snyk.connector import Snyk
from integrations.connectors.standard_webhooks.connector import StandardWebhooks
from integrations.connectors.stripe.connector import Stripe
from integrations.contract.inbound import InboundEvent, InboundRequest, Receiver
from tests.connectors.contract import NOW

HERE = Path(__file__).parent
STAMP = int(NOW.timestamp())
_KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2)]
_PUBLIC = {"whpk_" + base64.b64encode(key.public_key().public_bytes_raw()).decode(): key for key in _KEYS}
STANDARD_SECRETS = tuple("whsec_" + base64.b64encode(bytes([number]) * 24).decode() for number in (1, 2))
TEXT_SECRETS = ("Kq3vR8tY2wX5zB7n", "Pm9sD4fG6hJ1kL0c")
Signer = Callable[[str, bytes, int], Mapping[str, str]]


@dataclass(frozen=True)
class Sender:
    """One way in which a platform proves itself."""

    name: str
    receiver: type[Receiver]
    sign: Signer
    proof: str
    """The header, or the parameter of the address, that holds the proof."""
    secrets: tuple[str, str] = TEXT_SECRETS
    config: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b'{"id": "evt_1", "type": "thing.happened"}'
    headers: Mapping[str, str] = field(default_factory=dict)
    signs_body: bool = True
    timed: str = ""
    """The header that holds the signed time."""
    listed: bool = False
    """Several signatures may stand in the header, so a doubled one is fine."""
    in_query: bool = False

    def request(self, body: bytes | None = None, *, secret: str = "", stamp: int = STAMP, **headers: str) -> InboundRequest:
        """Return an authentic request."""
        body = self.body if body is None else body
        proof = self.sign(secret or self.secrets[0], body, stamp)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.in_query:
            return InboundRequest({**self.headers, **named}, body, proof, NOW)
        return InboundRequest({**self.headers, **proof, **named}, body, {}, NOW)

    def events(self, body: bytes, **headers: str) -> list[InboundEvent]:
        """Return what the receiver makes of an authentic body."""
        request = self.request(body, **headers)
        return self.receiver.parse(request, self.receiver.verify(request, [self.secrets[0]], self.config, NOW))


def mac(key: str | bytes, message: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(key.encode() if isinstance(key, str) else key, message, algorithm).digest()


def over_body(header: str, prefix: str) -> Signer:
    return lambda secret, body, stamp: {header: prefix + mac(secret, body).hex()}


def standard(names: str) -> Signer:
    def sign(secret: str, body: bytes, stamp: int) -> Mapping[str, str]:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signature = base64.b64encode(mac(key, b"msg_1.%d.%s" % (stamp, body))).decode()
        return {f"{names}-id": "msg_1", f"{names}-timestamp": str(stamp), f"{names}-signature": f"v1,{signature}"}

    return sign


def asymmetric(secret: str, body: bytes, stamp: int) -> Mapping[str, str]:
    signature = base64.b64encode(_PUBLIC[secret].sign(b"msg_1.%d.%s" % (stamp, body))).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": str(stamp), "webhook-signature": f"v1a,{signature}"}


def stripe(secret: str, body: bytes, stamp: int) -> Mapping[str, str]:
    return {"stripe-signature": f"t={stamp},v1={mac(secret, b'%d.%s' % (stamp, body)).hex()},v0={'0' * 64}"}


def slack(secret: str, body: bytes, stamp: int) -> Mapping[str, str]:
    return {"x-slack-request-timestamp": str(stamp), "x-slack-signature": "v0=" + mac(secret, b"v0:%d:%s" % (stamp, body)).hex()}


def basic(secret: str, body: bytes, stamp: int) -> Mapping[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"jenkins:{secret}".encode()).decode()}


def timed_sha512(secret: str, body: bytes, stamp: int) -> Mapping[str, str]:
    signature = base64.b64encode(mac(secret, b"d-1.%d.%s" % (stamp, body), "sha512")).decode()
    return {"x-id": "d-1", "x-time": str(stamp), "x-sign": f"HMAC {signature}"}


_JENKINS = b'{"name": "shop", "url": "job/shop/", "build": {"full_url": "https://ci/job/shop/7/", "number": 7, "phase": "COMPLETED"}}'
_ALERTS = b'{"groupKey": "g", "status": "firing", "alerts": [{"fingerprint": "f", "status": "firing", "startsAt": "2026-05-04T11:00:00Z"}]}'
_TIMED = {"mode": "hmac", "signature_header": "X-Sign", "prefix": "HMAC", "algorithm": "sha512", "encoding": "base64",
          "timestamp_header": "X-Time", "tolerance": 300, "id_header": "X-Id", "template": "{id}.{timestamp}.{body}"}  # fmt: skip
_SHA1 = {"mode": "hmac", "signature_header": "X-Sign", "prefix": "sha1=", "algorithm": "sha1", "encoding": "hex", "template": "{body}"}

SENDERS = [
    Sender("gitlab_token", GitLab, lambda secret, body, stamp: {"x-gitlab-token": secret}, "x-gitlab-token", signs_body=False,
           config={"mode": "token"}, headers={"x-gitlab-event": "Push Hook", "x-gitlab-event-uuid": "e", "x-gitlab-webhook-uuid": "w"}),
    Sender("gitlab_signing", GitLab, standard("webhook"), "webhook-signature", secrets=STANDARD_SECRETS, config={"mode": "signing"},
           timed="webhook-timestamp"),
    Sender("bitbucket", Bitbucket, over_body("x-hub-signature", "sha256="), "x-hub-signature",
           headers={"x-event-key": "repo:push", "x-request-uuid": "u-1"}),
    Sender("jenkins_basic", Jenkins, basic, "authorization", signs_body=False, body=_JENKINS, config={"mode": "basic"}),
    Sender("jenkins_address", Jenkins, lambda secret, body, stamp: {"token": secret}, "token", signs_body=False, body=_JENKINS,
           config={"mode": "address"}, in_query=True),
    Sender("circleci", CircleCI, over_body("circleci-signature", "v1="), "circleci-signature", listed=True),
    Sender("snyk", Snyk, over_body("x-hub-signature", "sha256="), "x-hub-signature",
           headers={"x-snyk-event": "project_snapshot/v0", "x-snyk-transport-id": "t-1"}),
    Sender("stripe", Stripe, stripe, "stripe-signature", timed="stripe-signature"),
    Sender("slack", Slack, slack, "x-slack-signature", timed="x-slack-request-timestamp",
           body=b'{"type": "event_callback", "event_id": "Ev1"}'),
    Sender("pagerduty", PagerDuty, over_body("x-pagerduty-signature", "v1="), "x-pagerduty-signature", listed=True,
           headers={"x-webhook-id": "w-1"}),
    Sender("alertmanager", Alertmanager, lambda secret, body, stamp: {"authorization": f"Bearer {secret}"}, "authorization",
           signs_body=False, body=_ALERTS),
    Sender("alertmanager_basic", Alertmanager, basic, "authorization", signs_body=False, body=_ALERTS),
    Sender("standard_webhooks", StandardWebhooks, standard("webhook"), "webhook-signature", secrets=STANDARD_SECRETS,
           timed="webhook-timestamp"),
    Sender("svix", StandardWebhooks, standard("svix"), "svix-signature", secrets=STANDARD_SECRETS, timed="svix-timestamp"),
    Sender("ed25519", StandardWebhooks, asymmetric, "webhook-signature", secrets=tuple(_PUBLIC), timed="webhook-timestamp"),  # type: ignore[arg-type]
    Sender("generic_timed", Generic, timed_sha512, "x-sign", config=_TIMED, timed="x-time"),
    Sender("generic_sha1", Generic, lambda secret, body, stamp: {"x-sign": "sha1=" + mac(secret, body, "sha1").hex(), "x-id": "d-1"},
           "x-sign", config=_SHA1 | {"id_header": "x-id"}),
    Sender("generic_token", Generic, lambda secret, body, stamp: {"authorization": secret}, "authorization", signs_body=False,
           config={"mode": "token", "token_header": "Authorization"}),
]  # fmt: skip
BY_NAME = {sender.name: sender for sender in SENDERS}


class Sent:
    """What the contract of a receiver has to know, from its sender. Stands before ConnectorContract."""

    sender: Sender

    def __init_subclass__(cls) -> None:
        cls.connector, cls.body_is_signed = cls.sender.receiver, cls.sender.signs_body  # type: ignore[attr-defined]
        super().__init_subclass__()

    def request(self) -> InboundRequest:
        return self.sender.request()

    def secret(self) -> str:
        return self.sender.secrets[0]

    def source(self) -> dict[str, Any]:
        return dict(self.sender.config)


def fixture(provider: str, name: str, **changes: Any) -> bytes:
    """Return a payload as a platform sends it, shortened; `changes` replace fields at its top."""
    path = HERE / provider / "fixtures" / f"{name}.json"
    return json.dumps(json.loads(path.read_bytes()) | changes).encode() if changes else path.read_bytes()
