"""What Slack's answers mean. Its errors are single words in plain text. https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/."""

from __future__ import annotations

import re

from integrations.contract.outbound import DestinationAnswer, Outcome

_NO_OK = "The address answered 200, but not with Slack's ok: it leads to a page or a proxy. Copy the webhook's URL again."
_WORD = re.compile(r"[a-z]+(_[a-z]+)*")
_LONGEST_WORD = 60
_NEW = "make a new webhook at Slack (Incoming Webhooks → Add New Webhook), and give the integration its URL"
_BODY = "Check the payload template of the webhook against Block Kit Builder"
_MEANINGS = {
    "invalid_payload": f"it could not read the message. {_BODY}.",
    "no_text": f"the message has neither text nor blocks. {_BODY}.",
    "missing_text_or_fallback_or_attachments": f"the message has neither text nor blocks. {_BODY}.",
    "invalid_blocks": f"a block breaks one of its limits. {_BODY}.",
    "invalid_blocks_format": f"the blocks are not a list of objects. {_BODY}.",
    "invalid_attachments": f"an attachment breaks one of its limits. {_BODY}.",
    "too_many_attachments": f"a message takes 100 attachments. {_BODY}.",
    "msg_too_long": f"the text is too long. {_BODY}.",
    "user_not_found": "the message is for a user that it does not know, or that is no member any more. Choose another in the template.",
    "channel_not_found": f"the channel does not exist any more, or the webhook may not post there: {_NEW}.",
    "channel_is_archived": f"the channel is archived. Restore it and enable this webhook again, or {_NEW}.",
    "action_prohibited": "an admin of the workspace restricts who may post there. Ask for leave, or choose another channel: " + _NEW + ".",
    "posting_to_general_channel_denied": f"only some people may post to #general. Choose another channel: {_NEW}.",
    "invalid_token": f"the webhook was revoked, or its URL was not copied whole: {_NEW}.",
    "no_service": f"the webhook was removed or disabled, or its URL was not copied whole: {_NEW}.",
    "no_service_id": f"the URL was not copied whole: {_NEW}.",
    "no_active_hooks": f"the webhook is disabled: {_NEW}.",
    "no_team": f"the workspace does not exist any more, or the URL was not copied whole: {_NEW}.",
    "team_disabled": "the workspace is disabled. Ask its owner.",
}
_UNKNOWN = {
    400: f"it refused the message. {_BODY}.",
    403: f"it does not let this webhook post. Ask an admin of the workspace, or {_NEW}.",
    404: f"it does not know this webhook: {_NEW}.",
    410: f"the channel of this webhook is gone: {_NEW}.",
}
_TAKES_MESSAGES = frozenset({"no_text", "missing_text_or_fallback_or_attachments", "invalid_payload"})
"""What it says to an empty message where the webhook is alive: nothing is posted."""


def word_of(body: bytes) -> str:
    """Return the word of an error, "" for anything that is none: a page of a proxy, or a text that may repeat the address."""
    text = body[:200].decode("utf-8", "replace").strip()
    return text if len(text) <= _LONGEST_WORD and _WORD.fullmatch(text) else ""


def judge(answer: DestinationAnswer) -> Outcome | None:
    """Say what an answer means; limits and failures of Slack itself are left to the status rules."""
    word = word_of(answer.body)
    if answer.status == 200:
        if word == "ok":
            return Outcome(ok=True)
        return Outcome(ok=False, error=_NO_OK)
    if answer.status in (408, 425, 429) or not 400 <= answer.status < 500:
        return None
    return Outcome(ok=False, error=explained(answer.status, word), permanent=True, gone=answer.status == 410)


def explained(status: int, word: str) -> str:
    """Return a sentence about a refusal."""
    said = f"Slack answered {status} {word}" if word else f"Slack answered {status}"
    return f"{said}: {_MEANINGS.get(word) or _UNKNOWN.get(status) or _UNKNOWN[400]}"


def is_alive(status: int, word: str) -> bool:
    """Say whether an answer to an empty message shows that the webhook takes messages."""
    return status == 400 and word in _TAKES_MESSAGES
