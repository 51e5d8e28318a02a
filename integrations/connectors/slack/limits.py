"""What Slack takes in a message: its own limits, counted in characters after escaping. https://docs.slack.dev/reference/block-kit/blocks/."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MAX_BLOCKS = 50
HEADER, TEXT, FIELD, CONTEXT_TEXT, BUTTON_TEXT, ADDRESS = 150, 3000, 2000, 2000, 75, 3000
FIELDS, CONTEXT_ELEMENTS, ACTIONS, ATTACHMENTS = 10, 10, 25, 100
FALLBACK = 40_000
MARKDOWN = 12_000
_TYPES = frozenset({
    "actions", "alert", "auth_provider", "call", "card", "carousel", "container", "context", "context_actions", "divider", "file", "header",
    "image", "input", "markdown", "plan", "rich_text", "section", "table", "task_card", "video",
})  # fmt: skip
Block = Mapping[str, Any]


def problems(body: bytes) -> list[str]:
    """Return a sentence for each rule of Slack's that a message breaks."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return ["The body is not JSON, which is all that Slack's webhooks take."]
    if not isinstance(message, dict):
        return ["The body must be a JSON object with text or blocks."]
    return list(_of_message(message))


def _of_message(message: Block) -> Iterator[str]:
    text, blocks, attachments = message.get("text"), message.get("blocks"), message.get("attachments")
    if text is not None and not isinstance(text, str):
        yield "text must be a text."
    elif not text:
        yield "text is missing or empty: notifications and screen readers show it in place of the blocks. Add a sentence."
    elif len(text) > FALLBACK:
        yield _too_long("text", text, FALLBACK)
    if attachments is not None and (not isinstance(attachments, list) or len(attachments) > ATTACHMENTS):
        yield f"attachments must be a list of at most {ATTACHMENTS}."
    if blocks is None:
        return
    if not isinstance(blocks, list):
        yield "blocks must be a list, not a text that holds one: Slack answers invalid_blocks_format."
        return
    if len(blocks) > MAX_BLOCKS:
        yield f"There are {len(blocks)} blocks; Slack takes {MAX_BLOCKS} in a message."
    for place, block in enumerate(blocks[:MAX_BLOCKS]):
        yield from _of_block(f"blocks[{place}]", block)
    if sum(len(str(block.get("text", ""))) for block in blocks if isinstance(block, dict) and block.get("type") == "markdown") > MARKDOWN:
        yield f"The markdown blocks hold more than {MARKDOWN:,} characters together."


def _of_block(place: str, block: Any) -> Iterator[str]:
    if not isinstance(block, dict):
        yield f"{place} must be an object with a type."
        return
    kind = block.get("type")
    if kind not in _TYPES:
        yield f"{place} has the type {str(kind)[:40]!r}, which is no block of Slack's; there are {', '.join(sorted(_TYPES))}."
        return
    if len(str(block.get("block_id", ""))) > 255:
        yield f"{place}.block_id is longer than 255 characters."
    if kind in _RULES:
        yield from _RULES[kind](place, block)


def _of_header(place: str, block: Block) -> Iterator[str]:
    yield from _of_text(f"{place}.text", block.get("text"), HEADER, kinds=("plain_text",))


def _of_section(place: str, block: Block) -> Iterator[str]:
    fields = block.get("fields")
    if "text" not in block and not fields:
        yield f"{place} needs text or fields."
    if "text" in block:
        yield from _of_text(f"{place}.text", block["text"], TEXT)
    if fields is not None:
        yield from _of_list(f"{place}.fields", fields, FIELDS, lambda at, one: _of_text(at, one, FIELD))


def _of_context(place: str, block: Block) -> Iterator[str]:
    def element(at: str, one: Any) -> Iterator[str]:
        if not (isinstance(one, dict) and one.get("type") == "image"):
            yield from _of_text(at, one, CONTEXT_TEXT)

    yield from _of_list(f"{place}.elements", block.get("elements"), CONTEXT_ELEMENTS, element)


def _of_actions(place: str, block: Block) -> Iterator[str]:
    def element(at: str, one: Any) -> Iterator[str]:
        if not isinstance(one, dict):
            yield f"{at} must be an object."
        elif one.get("type") == "button":
            yield from _of_text(f"{at}.text", one.get("text"), BUTTON_TEXT, kinds=("plain_text",))
            if "url" in one and not (isinstance(one["url"], str) and 0 < len(one["url"]) <= ADDRESS):
                yield f"{at}.url must be an address of at most {ADDRESS} characters; leave it out where there is none."
            if len(str(one.get("value", ""))) > 2000 or len(str(one.get("action_id", ""))) > 255:
                yield f"{at}: value takes 2000 characters, action_id 255."

    yield from _of_list(f"{place}.elements", block.get("elements"), ACTIONS, element)


_RULES: dict[str, Callable[[str, Block], Iterator[str]]] = {
    "header": _of_header,
    "section": _of_section,
    "context": _of_context,
    "actions": _of_actions,
}


def _of_list(place: str, value: Any, most: int, each: Callable[[str, Any], Iterator[str]]) -> Iterator[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        count = len(value) if isinstance(value, list) else "no"
        yield f"{place} must be a list of 1 to {most}; it has {count}."
        return
    for number, one in enumerate(value):
        yield from each(f"{place}[{number}]", one)


def _of_text(place: str, value: Any, limit: int, kinds: tuple[str, ...] = ("mrkdwn", "plain_text")) -> Iterator[str]:
    if not isinstance(value, dict) or value.get("type") not in kinds or not isinstance(value.get("text"), str):
        yield f'{place} must be {{"type": "{kinds[0]}", "text": "…"}}.'
    elif not value["text"]:
        yield f"{place} is empty; Slack wants at least one character. Leave the block out where there is nothing to say."
    elif len(value["text"]) > limit:
        yield _too_long(place, value["text"], limit)


def _too_long(place: str, text: str, limit: int) -> str:
    return f"{place} has {len(text):,} characters; Slack takes {limit:,}. Cut it (| truncate: {limit - 1})."
