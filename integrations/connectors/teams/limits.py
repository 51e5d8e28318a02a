"""What a Teams workflow takes: a message with an Adaptive Card. It answers 202 to anything, and fails afterwards, where nobody sees it.

https://learn.microsoft.com/en-us/connectors/teams/#microsoft-teams-webhook; cards: https://adaptivecards.io/explorer/.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

MAX_BYTES = 27_000
"""Of the whole JSON in UTF-8. Teams takes about 28 KB, in which it counts something of its own."""
CARD = "application/vnd.microsoft.card.adaptive"
_VERSIONS = frozenset({"1.0", "1.1", "1.2", "1.3", "1.4", "1.5"})
_ELEMENTS = frozenset({
    "ActionSet", "Column", "ColumnSet", "Container", "Fact", "FactSet", "Image", "ImageSet", "Input.ChoiceSet", "Input.Date",
    "Input.Number", "Input.Text", "Input.Time", "Input.Toggle", "Media", "RichTextBlock", "Table",
    "TableCell", "TableRow", "TextBlock", "TextRun",
})  # fmt: skip
_ACTIONS = frozenset({"Action.OpenUrl", "Action.ShowCard", "Action.ToggleVisibility"})
_DEEPEST = 30
Object = Mapping[str, Any]


def problems(body: bytes) -> list[str]:
    """Return a sentence for each thing by which a message would be lost."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return ["The body is not JSON, which is all that a workflow takes."]
    found = (
        []
        if len(body) <= MAX_BYTES
        else [f"The message has {len(body):,} bytes; Teams drops what is over 28 KB. Keep it at {MAX_BYTES:,}."]
    )
    return found + list(_of_message(message))


def _of_message(message: Any) -> Iterator[str]:
    attachments = message.get("attachments") if isinstance(message, dict) else None
    if not isinstance(message, dict) or message.get("type") != "message":
        yield 'The body must be an object with "type": "message".'
    if not isinstance(attachments, list) or not attachments:
        yield "attachments must be a list of at least one card: without it the workflow fails after it has answered 202."
        return
    for place, one in enumerate(attachments):
        at = f"attachments[{place}]"
        if not isinstance(one, dict) or one.get("contentType") != CARD:
            yield f'{at} must be an object with "contentType": "{CARD}".'
        elif not isinstance(one.get("content"), dict) or one["content"].get("type") != "AdaptiveCard":
            yield f'{at}.content must be the card, an object with "type": "AdaptiveCard".'
        else:
            yield from _of_card(f"{at}.content", one["content"])


def _of_card(at: str, card: Object) -> Iterator[str]:
    if card.get("version") not in _VERSIONS:
        yield f'{at}.version is {str(card.get("version"))[:10]!r}; Teams shows cards up to 1.5. Write "1.4".'
    if not card.get("body") and not card.get("actions"):
        yield f"{at} has neither body nor actions, so nothing is shown."
    for name, known in (("body", _ELEMENTS), ("actions", _ACTIONS)):
        value = card.get(name, [])
        if isinstance(value, list):
            yield from _of_list(f"{at}.{name}", value, known)
        else:
            yield f"{at}.{name} must be a list."


def _of_list(at: str, listed: list[Any], known: frozenset[str], depth: int = 0) -> Iterator[str]:
    for place, one in enumerate(listed):
        here, kind = f"{at}[{place}]", one.get("type") if isinstance(one, dict) else None
        if not isinstance(one, dict) or kind not in known:
            what = "can't be used in a card that a workflow posts" if str(kind) in ("Action.Submit", "Action.Execute") else "is not known"
            yield f"{here}: the type {str(kind)[:40]!r} {what}; there are {', '.join(sorted(known))}."
            continue
        if kind == "TextBlock" and not isinstance(one.get("text"), str):
            yield f"{here}.text is missing."
        if kind == "Action.OpenUrl" and not str(one.get("url", "")).startswith(("https://", "http://")):
            yield f"{here}.url must be an http(s) address."
        for name, inner in (("items", _ELEMENTS), ("columns", _ELEMENTS), ("actions", _ACTIONS)):
            if depth < _DEEPEST and kind != "Table" and isinstance(one.get(name), list):
                yield from _of_list(f"{here}.{name}", one[name], inner, depth + 1)
