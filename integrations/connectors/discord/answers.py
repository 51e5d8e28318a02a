"""What Discord's answers mean. https://docs.discord.com/developers/topics/opcodes-and-status-codes#json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from integrations.contract.outbound import DestinationAnswer, Outcome

_NEW = "make a new webhook at Discord (channel settings → Integrations → Webhooks), and give the integration its URL"
_NO_MESSAGE = "The address answered 200, but not with a message: it leads to a page or a proxy. Copy the webhook's URL again."
_GONE = frozenset({10015, 50027})
_MEANINGS = {
    10003: "the channel or thread does not exist any more. Correct thread_id, or " + _NEW + ".",
    10015: f"the webhook was deleted: {_NEW}.",
    50006: "the message is empty. Correct the payload template.",
    50027: f"the token in the URL is not valid any more: {_NEW}.",
    50035: "a part of the message breaks a limit",
    50083: "the thread is archived. Open it again, or name another in thread_id.",
    160005: "the thread is locked. Unlock it, or name another in thread_id.",
    220001: "the channel is a forum: name a post in thread_id, or switch on new_thread.",
    220002: "thread_id and new_thread exclude each other: name one of them.",
    220003: "the channel is no forum, so new_thread can't be used: switch it off.",
}
_STATUSES = {
    400: "it refused the message. Look at the payload template where there is one.",
    401: f"the token in the URL is not valid any more: {_NEW}.",
    403: "it does not let the portal post, or a guard before it refuses the portal's address. Look at the answer's body.",
    404: f"it does not know this webhook or thread: {_NEW}.",
    410: f"the webhook is gone: {_NEW}.",
    413: "the message is too large. Make the payload template shorter.",
}
_DEEPEST = 12
_LONGEST_WAIT = 1e9
"""Seconds; what is more is none of Discord's answers, and may be no float at all."""


def judge(answer: DestinationAnswer, show: Callable[[str], str]) -> Outcome | None:
    """Say what an answer means; failures of Discord itself are left to the status rules."""
    said = answer.json()
    said = said if isinstance(said, dict) else {}
    if answer.status == 200:
        if isinstance(said.get("id"), str):
            return Outcome(ok=True)
        return Outcome(ok=False, error=_NO_MESSAGE)
    if answer.status == 429:
        return _limited(said)
    if answer.status in (408, 425) or not 400 <= answer.status < 500:
        return None
    code = said.get("code")
    code = code if isinstance(code, int) and not isinstance(code, bool) else 0
    known = _MEANINGS.get(code) or _STATUSES.get(answer.status) or _STATUSES[400]
    if code == 50035:
        known += f"{_broken(said.get('errors'), show)}. Look at the payload template where there is one."
    gone = answer.status == 410 or (answer.status in (401, 404) and code in _GONE) or (answer.status == 401 and "code" in said)
    return Outcome(ok=False, error=f"Discord answered {answer.status}{f' ({code})' if code else ''}: {known}", permanent=True, gone=gone)


def _limited(said: dict[str, Any]) -> Outcome | None:
    """Read how long to wait: a fraction of a second, in the body; without one the status rules read the header."""
    wait = said.get("retry_after")
    if not isinstance(wait, int | float) or isinstance(wait, bool) or not 0 <= wait <= _LONGEST_WAIT:
        return None
    whole = " of the whole application" if said.get("global") is True else " of this webhook"
    return Outcome(
        ok=False, error=f"Discord answered 429: the limit{whole} is reached. Lower its rate limit.", retry_after=float(wait), status=429
    )


def _broken(errors: Any, show: Callable[[str], str]) -> str:
    """Return where the first error stands and what it says, such as ` (embeds.0.title: Must be 256 or fewer in length.)`."""
    path: list[str] = []
    while isinstance(errors, dict) and "_errors" not in errors and errors and len(path) < _DEEPEST:
        name = next(iter(errors))
        path.append(str(name)[:40])
        errors = errors[name]
    found = errors.get("_errors") if isinstance(errors, dict) else None
    first = found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}
    text = str(first.get("message", ""))
    return f" ({show('.'.join(path))}: {show(text).rstrip('.')})" if path or text else ""
