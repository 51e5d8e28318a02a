"""GitHub's webhooks: the signature over the raw body, and what an event means here. Without network or database."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import parse_qs

from core.errors import InvalidInput, NotAllowed
from core.signing import HUB_256, check_mac, hub_signature_256
from integrations.connectors.github.reading import moment, number, part, text
from integrations.connectors.github.runs import reported
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.simulated import Message, Signed

PROVIDER = "github"
_DELIVERY, _EVENT, _OLD = "x-github-delivery", "x-github-event", "x-hub-signature"
_FORM = "application/x-www-form-urlencoded"
_EVENT_WORD = re.compile(r"[A-Za-z0-9_-]{1,60}")
_LONGEST_ID = 100
# by the object in the body: the changes that are sure to change its updated_at, too, and that no other event with it has
_TIMED = {
    "alert": frozenset({"created", "fixed", "dismissed", "auto_dismissed", "resolved", "closed_by_user", "reopened", "reopened_by_user"}),
    "check_suite": frozenset({"completed"}),
    "pull_request": frozenset({"opened", "synchronize", "closed", "reopened"}),
    "workflow_run": frozenset({"in_progress", "completed"}),
}
_ALERTS = ("code_scanning_alert", "dependabot_alert", "secret_scanning_alert")
# what GitHub calls a leaked secret itself, or a webhook's; neither goes further
_SECRET_NAMES = frozenset({"secret"})


def verified(request: InboundRequest, secrets: Sequence[str]) -> Verified:
    """Check the signature over the body as it came, also of a form. Raises NotAllowed."""
    headers = request.headers
    if not headers.get(HUB_256.header):
        if headers.get(_OLD):
            raise NotAllowed("The request is signed with SHA-1 only. Have GitHub send X-Hub-Signature-256: upgrade the Enterprise Server.")
        raise NotAllowed("The header X-Hub-Signature-256 is missing. Give the webhook a secret, the same as here.")
    check_mac(HUB_256, secrets, headers, [request.body])
    return Verified(headers.get(_DELIVERY, "").strip()[:_LONGEST_ID], headers.get(_EVENT, "").strip())


def signed(message: Message, secret: str) -> Signed:
    """Return what GitHub sends beside a body."""
    headers = {
        "X-GitHub-Event": message.event,
        "X-GitHub-Delivery": message.id,
        "X-Hub-Signature-256": hub_signature_256(secret, message.body),
    }
    return Signed(headers)


def events(request: InboundRequest, found: Verified) -> list[InboundEvent]:
    """Return what the request means; a ping means nothing. Raises InvalidInput."""
    if not _EVENT_WORD.fullmatch(found.event):
        raise InvalidInput.of("X-GitHub-Event", "is missing, or is no event name.")
    payload = _payload(request)
    if found.event == "ping":
        return []
    _drop_secrets(payload)
    return [_MEANINGS.get(found.event, _other)(found.event, payload)]


def pong(found: Verified) -> Mapping[str, Any] | None:
    """Return what a ping is answered with: it stands in GitHub's list of deliveries."""
    return {"message": "RepoGuard receives this webhook."} if found.event == "ping" else None


def tells_its_time(request: InboundRequest, event: str) -> bool:
    """Say whether the body tells when the change was made. A star, a dispatch or a ping does not: each may be meant twice.

    Raises InvalidInput where the event's name, which is not signed, does not fit such a body.
    """
    kind = _timed_kind(_payload(request))
    if kind and event != kind and not (kind == "alert" and kind in event):
        raise InvalidInput.of("X-GitHub-Event", f"does not fit the body, which is that of the event {kind}.")
    return bool(kind)


def _timed_kind(payload: Mapping[str, Any]) -> str:
    action = text(payload, "action")
    if not action and text(payload, "before") and text(payload, "after") and moment(part(payload, "repository"), "pushed_at"):
        return "push"
    return next((name for name, actions in _TIMED.items() if action in actions and moment(part(payload, name), "updated_at")), "")


def _payload(request: InboundRequest) -> dict[str, Any]:
    body = request.body
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
        body = _form_field(body)
    try:
        payload = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidInput.of("body", "is not JSON. Set the webhook's content type to application/json.") from None
    if not isinstance(payload, dict):
        raise InvalidInput.of("body", "is not a JSON object, as GitHub sends it.")
    return payload


def _form_field(body: bytes) -> bytes:
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=10, strict_parsing=True, errors="strict")
        return fields["payload"][0].encode()
    except (ValueError, KeyError):
        raise InvalidInput.of("body", "is a form without a readable field payload.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _drop_secrets(payload: dict[str, Any]) -> None:
    """Remove values called secret, however deep; not by recursion, which a deep payload would exhaust."""
    left: list[Any] = [payload]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            for name in _SECRET_NAMES & value.keys():
                if isinstance(value[name], str):
                    del value[name]
            left += value.values()
        elif isinstance(value, list):
            left += value


def _repository(payload: Mapping[str, Any]) -> str:
    return text(part(payload, "repository"), "full_name")


def _pushed(event: str, payload: Mapping[str, Any]) -> InboundEvent:
    occurred = moment(part(payload, "repository"), "pushed_at") or moment(part(payload, "head_commit"), "timestamp")
    return InboundEvent("repository.pushed", {"provider": PROVIDER, **payload}, _repository(payload), occurred)


def _pull_request(event: str, payload: Mapping[str, Any]) -> InboundEvent:
    occurred = moment(part(payload, "pull_request"), "updated_at")
    return InboundEvent("pull_request.updated", {"provider": PROVIDER, **payload}, _repository(payload), occurred)


def _workflow_run(event: str, payload: Mapping[str, Any]) -> InboundEvent:
    run = reported(part(payload, "workflow_run"), part(payload, "workflow"))
    occurred = moment(part(payload, "workflow_run"), "updated_at")
    return InboundEvent(f"inbound.{PROVIDER}.{event}", _data(event, payload), _repository(payload), occurred, runs=(run,) if run else ())


def _alert(event: str, payload: Mapping[str, Any]) -> InboundEvent:
    alert = part(payload, "alert")
    data = {
        "provider": PROVIDER,
        "repository": _repository(payload),
        "kind": event.removesuffix("_alert"),
        "action": text(payload, "action"),
        "alert": {**_summary(alert), **_named(alert)},
    }
    return InboundEvent("inbound.alert_changed", data, _repository(payload), moment(alert, "updated_at") or moment(alert, "created_at"))


def _summary(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return what filters want to know of any kind of alert."""
    rule, advisory = part(alert, "rule"), part(alert, "security_advisory")
    return {
        "number": number(alert, "number"),
        "state": text(alert, "state"),
        "severity": text(rule, "security_severity_level") or text(rule, "severity") or text(advisory, "severity"),
        "title": text(rule, "description") or text(advisory, "summary") or text(alert, "secret_type_display_name"),
        "url": text(alert, "html_url"),
    }


_NAMED = (
    "created_at",
    "updated_at",
    "fixed_at",
    "dismissed_at",
    "dismissed_reason",
    "resolution",
    "resolved_at",
    "secret_type",
    "validity",
)


def _named(alert: Mapping[str, Any]) -> dict[str, Any]:
    rule, advisory, package = part(alert, "rule"), part(alert, "security_advisory"), part(alert, "dependency", "package")
    more = {
        "rule": text(rule, "id"),
        "tool": text(part(alert, "tool"), "name"),
        "ref": text(part(alert, "most_recent_instance"), "ref"),
        "commit": text(part(alert, "most_recent_instance"), "commit_sha"),
        "ghsa_id": text(advisory, "ghsa_id"),
        "cve_id": text(advisory, "cve_id"),
        "package": text(package, "name"),
        "ecosystem": text(package, "ecosystem"),
        "manifest": text(part(alert, "dependency"), "manifest_path"),
        **{name: text(alert, name) for name in _NAMED},
    }
    return {name: value for name, value in more.items() if value}


def _other(event: str, payload: Mapping[str, Any]) -> InboundEvent:
    return InboundEvent(f"inbound.{PROVIDER}.{event}", _data(event, payload), _repository(payload))


def _data(event: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    return {"provider": PROVIDER, "event": event, "payload": payload}


_MEANINGS: dict[str, Callable[[str, Mapping[str, Any]], InboundEvent]] = {
    "push": _pushed,
    "pull_request": _pull_request,
    "workflow_run": _workflow_run,
    **dict.fromkeys(_ALERTS, _alert),
}
