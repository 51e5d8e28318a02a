"""Snyk's webhooks: https://docs.snyk.io/snyk-api/using-specific-snyk-apis/webhooks-apis/snyk-webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core import signing
from core.errors import InvalidInput
from core.signing import Scheme
from integrations.contract import payloads
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.payloads import at, json_object, moment, objects, peek, text
from integrations.contract.simulated import Message, Signed

# the header that GitHub uses for SHA-1; the bytes are signed as they were sent, unlike Snyk's own sample says
_SCHEME = Scheme("x-hub-signature", prefix="sha256=")
_SNAPSHOT = "project_snapshot"


def verified(request: InboundRequest, secrets: Sequence[str]) -> Verified:
    """Check the signature over the body; X-Snyk-Timestamp is not signed, and says nothing. Raises NotAllowed."""
    signing.check_mac(_SCHEME, secrets, request.headers, [request.body])
    event, _, _ = text(request.headers.get("x-snyk-event")).partition("/")
    return Verified(text(request.headers.get("x-snyk-transport-id")), event)


def tells_its_time(request: InboundRequest, event: str) -> bool:
    """Say whether a body tells when the project was tested. Raises InvalidInput where that does not fit the event, which is not signed."""
    if moment(at(peek(request.body), "project", "lastTestedDate")) is None:
        return False
    if event != _SNAPSHOT:
        raise InvalidInput.of("X-Snyk-Event", f"does not fit the body, which is that of a {_SNAPSHOT}.")
    return True


def signed(message: Message, secret: str) -> Signed:
    """Return the signature over the body; the time beside it is not signed."""
    headers = {
        "X-Snyk-Event": message.event if "/" in message.event else f"{message.event}/v0",
        "X-Snyk-Transport-ID": message.id,
        "X-Snyk-Timestamp": message.now.isoformat(),
        "X-Hub-Signature": signing.mac_value(_SCHEME, secret, [message.body]),
    }
    return Signed(headers)


def events(request: InboundRequest, event: str) -> list[InboundEvent]:
    """Return an event for each issue that is new or gone; a test that changed nothing is one event without an alert."""
    payload = json_object(request.body)
    project = payload.get("project")
    repository = _repository(project)
    happened = moment(at(project, "lastTestedDate"))
    changes = [
        payloads.alert_changed("snyk", action, _alert(issue, project), repository=repository, occurred_at=happened)
        for action, name in (("created", "newIssues"), ("fixed", "removedIssues"))
        for issue in objects(payload.get(name))
        if event == _SNAPSHOT
    ]
    return changes or [payloads.other("snyk", event, payload, repository=repository, occurred_at=happened)]


def _repository(project: Any) -> str:
    """Return the repository in a project's name, which is owner/name(branch):path for what Snyk reads from a platform."""
    if text(at(project, "origin")) in ("cli", "docker-hub", "ecr", "gcr", "acr"):
        return ""
    name = text(at(project, "name"), 1000).partition(":")[0].partition("(")[0].strip()
    return name[:255] if "/" in name else ""


def _alert(issue: dict[str, Any], project: Any) -> dict[str, Any]:
    about = issue.get("issueData")
    versions = issue.get("pkgVersions")
    identifiers = at(about, "identifiers")
    return {
        "id": text(issue.get("id")) or text(at(about, "id")),
        "title": text(at(about, "title"), 1000),
        "severity": text(at(about, "severity")),
        "type": text(issue.get("issueType")),
        "package": text(issue.get("pkgName")),
        "versions": [text(version) for version in versions] if isinstance(versions, list) else [],
        "identifiers": identifiers if isinstance(identifiers, dict) else {},
        "fixable": at(issue, "fixInfo", "isFixable") is True,
        "url": text(at(about, "url"), 2000),
        "project": {"id": text(at(project, "id")), "name": text(at(project, "name")), "url": text(at(project, "browseUrl"), 2000)},
    }
