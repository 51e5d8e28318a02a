"""What Discord takes in a message, counted in UTF-16 units as its own library counts. https://docs.discord.com/developers/resources/webhook."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from integrations.messages.cutting import units

CONTENT, EMBEDS, TOTAL = 2000, 10, 6000
TITLE, DESCRIPTION, FIELDS, NAME, VALUE, FOOTER, AUTHOR = 256, 4096, 25, 256, 1024, 2048, 256
THREAD_NAME = 100
_SAYING = ("content", "embeds", "components", "poll", "files")
_COMPONENTS_V2 = 1 << 15
Object = Mapping[str, Any]


def problems(body: bytes) -> list[str]:
    """Return a sentence for each rule of Discord's that a message breaks."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return ["The body is not JSON, which is all that is sent to Discord."]
    if not isinstance(message, dict):
        return ["The body must be a JSON object with content or embeds."]
    return list(_of_message(message))


def embed_size(embed: Object) -> int:
    """Return what an embed adds to the sum of all."""
    fields = [field for field in _list(embed.get("fields")) if isinstance(field, dict)]
    texts = [
        embed.get("title"),
        embed.get("description"),
        _object(embed.get("footer")).get("text"),
        _object(embed.get("author")).get("name"),
    ]
    texts += [field.get(name) for field in fields for name in ("name", "value")]
    return sum(units(text) for text in texts if isinstance(text, str))


def _of_message(message: Object) -> Iterator[str]:
    if not any(message.get(name) for name in _SAYING):
        yield "content and embeds are missing or empty: there is nothing to post."
    allowed = message.get("allowed_mentions")
    if not isinstance(allowed, dict) or allowed.get("parse") != []:
        yield 'Add "allowed_mentions": {"parse": []}: without it a text such as @everyone in a finding calls all members.'
    yield from _of_text("content", message.get("content"), CONTENT)
    yield from _of_text("username", message.get("username"), 80)
    flags = message.get("flags")
    if isinstance(flags, int) and flags & _COMPONENTS_V2 and (message.get("content") or message.get("embeds")):
        yield "flags name components of version 2, beside which Discord takes neither content nor embeds."
    embeds = message.get("embeds")
    if embeds is None:
        return
    if not isinstance(embeds, list) or len(embeds) > EMBEDS or not all(isinstance(one, dict) for one in embeds):
        yield f"embeds must be a list of at most {EMBEDS} objects."
        return
    for place, embed in enumerate(embeds):
        yield from _of_embed(f"embeds[{place}]", embed)
    if (total := sum(embed_size(embed) for embed in embeds)) > TOTAL:
        yield f"The texts of all embeds have {total:,} characters together; Discord takes {TOTAL:,}. Cut some of them."


def _of_embed(at: str, embed: Object) -> Iterator[str]:
    yield from _of_text(f"{at}.title", embed.get("title"), TITLE)
    yield from _of_text(f"{at}.description", embed.get("description"), DESCRIPTION)
    yield from _of_text(f"{at}.footer.text", _object(embed.get("footer")).get("text"), FOOTER)
    yield from _of_text(f"{at}.author.name", _object(embed.get("author")).get("name"), AUTHOR)
    if (url := embed.get("url")) is not None and not str(url).startswith(("https://", "http://")):
        yield f"{at}.url must be an http(s) address; leave it out where there is none."
    color = embed.get("color")
    if color is not None and (not isinstance(color, int) or isinstance(color, bool) or not 0 <= color <= 0xFFFFFF):
        yield f"{at}.color must be a whole number from 0 to 16777215."
    fields = embed.get("fields", [])
    if not isinstance(fields, list) or len(fields) > FIELDS:
        yield f"{at}.fields must be a list of at most {FIELDS}."
        return
    for place, field in enumerate(fields):
        here = f"{at}.fields[{place}]"
        if not isinstance(field, dict) or not field.get("name") or not field.get("value"):
            yield f"{here} needs a name and a value, neither empty."
            continue
        yield from _of_text(f"{here}.name", field["name"], NAME)
        yield from _of_text(f"{here}.value", field["value"], VALUE)


def _of_text(at: str, value: Any, limit: int) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, str):
        yield f"{at} must be a text."
    elif units(value) > limit:
        yield f"{at} has {units(value):,} characters; Discord takes {limit:,}. Cut it (| truncate: {limit - 1})."


def _object(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
