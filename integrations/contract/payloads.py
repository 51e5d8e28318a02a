"""What receivers share: reading JSON that may hold anything, and the data of events that several platforms know.

The readers never fail: what is not of the kind asked for is as good as absent. Only a body that is no JSON object is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from core.errors import InvalidInput
from integrations.contract.inbound import InboundEvent
from integrations.contract.reports import ReportedRun

Object = Mapping[str, Any]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_NO_WORD = re.compile(r"[^a-z0-9_-]+")
_MAX_WORDS, _MAX_EVENT = 5, 60
_MAX_ID = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def json_object(body: bytes) -> dict[str, Any]:
    """Return the object that a body holds; raises InvalidInput for anything else."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidInput.of("body", "is not JSON in UTF-8. Set the webhook's content type to application/json.") from None
    if not isinstance(found, dict):
        raise InvalidInput.of("body", "is not a JSON object, as this platform's webhooks are.")
    return found


def peek(body: bytes) -> dict[str, Any]:
    """Return the object that a body holds, an empty one where there is none: for ids that name a delivery."""
    try:
        return json_object(body)
    except InvalidInput:
        return {}


def at(value: Any, *path: str) -> Any:
    """Return what lies at a path of names, None where it ends early."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def text(value: Any, limit: int = 255) -> str:
    """Return a text or whole number as one line of at most `limit` characters, "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return _CONTROL.sub(" ", str(value)).strip()[:limit]


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def whole(value: Any, low: int = 0) -> int | None:
    """Return a whole number from `low` up to what a database column takes."""
    return value if isinstance(value, int) and not isinstance(value, bool) and low <= value < 2**31 - 1 else None


def moment(value: Any, *, per_second: int = 1) -> datetime | None:
    """Return a moment in UTC from ISO 8601, GitLab's "2026-05-04 12:00:00 UTC", or a count since 1970, `per_second` to the second.

    A time without a zone is taken for UTC; one before 1970 stands for "not yet" on several platforms.
    """
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value.strip().replace(" UTC", "+00:00"))
            found = (found.replace(tzinfo=UTC) if found.tzinfo is None else found).astimezone(UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = _EPOCH + timedelta(seconds=value / per_second)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return found if found > _EPOCH else None


def repository_in(url: Any) -> str:
    """Return the full name (owner/name) in the address of a repository, web or Git, "" where there is none."""
    found = re.fullmatch(r"(?:[a-z+]+://[^/]+/|[^/@\s]+@[^:/\s]+:)((?:[\w.~-]+/)+[\w.~-]+?)(?:\.git)?/?", text(url, 2000))
    return found[1][:255] if found else ""


def event_word(word: str) -> str:
    """Return a platform's word as part of an event type: `pullrequest:comment` becomes `pullrequest.comment`."""
    words = [_NO_WORD.sub("_", part).strip("_-") for part in re.split(r"[.:/]", word.lower())]
    words = [part for part in words if part]
    return ".".join(words[:_MAX_WORDS])[:_MAX_EVENT].strip("._-") or "event"


def digest(parts: Iterable[str]) -> str:
    """Return an id of a fixed length for parts that may be long."""
    return hashlib.sha256("\n".join(parts).encode(errors="replace")).hexdigest()


def other(
    provider: str,
    event: str,
    payload: Any,
    *,
    repository: str = "",
    occurred_at: datetime | None = None,
    runs: tuple[ReportedRun, ...] = (),
) -> InboundEvent:
    """Return `inbound.<provider>.<event>` with the platform's payload."""
    data = {"provider": provider, "event": event, "payload": payload, **({"repository": {"full_name": repository}} if repository else {})}
    return InboundEvent(f"inbound.{provider}.{event_word(event)}", data, repository, occurred_at, runs)


def alert_changed(provider: str, action: str, alert: Object, *, repository: str = "", occurred_at: datetime | None = None) -> InboundEvent:
    """Return `inbound.alert_changed`."""
    data = {"provider": provider, "repository": repository, "action": action, "alert": dict(alert)}
    return InboundEvent("inbound.alert_changed", data, repository, occurred_at)


def pushed(
    provider: str,
    repository: Object,
    *,
    ref: str,
    before: str,
    after: str,
    pusher: Object,
    commits: list[dict[str, Any]],
    occurred_at: datetime | None = None,
    forced: bool | None = None,
) -> InboundEvent:
    """Return `repository.pushed`, with GitHub's names. `before` and `after` are "" or zeros where the ref was made or removed."""
    data = {
        "provider": provider,
        "ref": ref,
        "before": before,
        "after": after,
        "created": not before.strip("0"),
        "deleted": not after.strip("0"),
        "repository": dict(repository),
        "pusher": dict(pusher),
        "head_commit": next((commit for commit in commits if commit["id"] == after), None),
        "commits": commits,
    }
    if forced is not None:
        data["forced"] = forced
    return InboundEvent("repository.pushed", data, str(repository["full_name"]), occurred_at)


def pull_request(
    provider: str, repository: Object, action: str, number: int | None, fields: Object, *, occurred_at: datetime | None = None
) -> InboundEvent:
    """Return `pull_request.updated`; `fields` are title, state, draft, head, base and html_url, as at GitHub."""
    data = {
        "provider": provider,
        "action": action,
        **({"number": number} if number else {}),
        "pull_request": dict(fields),
        "repository": dict(repository),
    }
    return InboundEvent("pull_request.updated", data, str(repository["full_name"]), occurred_at)


def run(
    build_id: str, status: str, *, raw: Object, started_at: datetime | None = None, finished_at: datetime | None = None, **fields: Any
) -> ReportedRun:
    """Return a CI run; the duration is the time between start and end where the platform gives none."""
    duration = fields.pop("duration_seconds", None)
    if isinstance(duration, bool) or not isinstance(duration, int | float) or duration < 0:
        duration = None
    if duration is None and started_at and finished_at and finished_at >= started_at:
        duration = (finished_at - started_at).total_seconds()
    return ReportedRun(
        build_id=build_id if len(build_id) <= _MAX_ID else digest([build_id]),
        attempt=fields.pop("attempt", 1),
        status=status,
        started_at=started_at,
        finished_at=finished_at,
        duration_seconds=None if duration is None else float(duration),
        raw=raw,
        **fields,
    )
