"""GitLab: its webhooks (https://docs.gitlab.com/user/project/integrations/webhook_events/), and what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core import signing
from integrations.choices import Category
from integrations.connectors.gitlab.destination import GitLabDestination
from integrations.connectors.gitlab.events import events
from integrations.contract.fields import Field, FieldKind
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.payloads import json_object, peek, text
from integrations.contract.simulated import Message, Signed, Simulated, read_samples, standard_headers

TOKEN, SIGNING = "token", "signing"
_HOOKS = {"build": "Job"}


class GitLab(Simulated, GitLabDestination):
    """Projects and groups at GitLab: they tell of pushes, merge requests and pipelines, run pipelines, and show statuses of commits."""

    key = "gitlab"
    title = "GitLab"
    description = "Tells of pushes, merge requests, pipelines and jobs; events run pipelines or set statuses of commits. Also self-managed."
    categories = (Category.DEVELOPMENT,)
    docs = "https://docs.gitlab.com/user/project/integrations/webhooks/"
    samples = read_samples(__file__)
    key_help = "At GitLab: Settings → Webhooks, field Secret token. With a signing token it is the whsec_… that GitLab generates."
    source_fields = (
        Field("mode", "How GitLab proves itself", FieldKind.CHOICE, required=True, default=TOKEN,
              choices=((TOKEN, "Secret token"), (SIGNING, "Signing token")),
              help="Secret token: GitLab sends the secret itself. Signing token: it signs each request. With signing, a request that "
                   "only carries the secret token is refused."),
    )  # fmt: skip

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check the signature or the token, as the source says: a header's presence never chooses."""
        headers = request.headers
        if config.get("mode", TOKEN) == TOKEN:
            signing.check_token(secrets, [signing.header_value(headers, "x-gitlab-token")])
            delivery = headers.get("idempotency-key") or "+".join(
                filter(None, (headers.get("x-gitlab-event-uuid"), headers.get("x-gitlab-webhook-uuid")))
            )
        else:
            signing.verify(secrets, headers, request.body, now.timestamp())
            delivery = headers["webhook-id"]
        payload = peek(request.body)
        event = text(payload.get("object_kind") or payload.get("event_name") or headers.get("x-gitlab-event"))
        return Verified(text(delivery), event)

    @classmethod
    def secret_problem(cls, secret: str, config: Mapping[str, Any]) -> str:
        """Look for a key of Standard Webhooks where the source takes signatures."""
        if config.get("mode", TOKEN) == SIGNING:
            return signing.key_problem(secret, (signing.PREFIX,))
        return super().secret_problem(secret, config)

    @classmethod
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return the token, or a signature as Standard Webhooks has it, as the source says."""
        hook = _HOOKS.get(message.event, message.event.replace("_", " ").title())
        headers = {"X-Gitlab-Event": f"{hook} Hook", "X-Gitlab-Event-UUID": message.id, "Idempotency-Key": message.id}
        proof = {"X-Gitlab-Token": secret} if config.get("mode", TOKEN) == TOKEN else standard_headers(message, secret)
        return Signed({**headers, **proof})

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return what happened to the project."""
        return [events(verified.event, json_object(request.body))]
