"""Small pieces of HTML that admin pages share. Everything that is not written here is escaped."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince, timeuntil

from core.texts import storable

NOTHING = mark_safe('<span class="rg-faint">–</span>')
GOOD, BAD, WARN, INFO, QUIET = "good", "bad", "warn", "info", "quiet"
MOST_CHARACTERS = 100_000


def badge(text: object, tone: str = QUIET, title: str = "") -> SafeString:
    """Return a word on a coloured ground; `tone` is one of GOOD, BAD, WARN, INFO, QUIET."""
    return format_html('<span class="rg-badge rg-{}" title="{}">{}</span>', tone, title, text)


def moment(at: datetime | None) -> SafeString:
    """Return how long ago (or until when) something is, with the exact time in UTC as its title."""
    if at is None:
        return NOTHING
    now = timezone.now()
    exact = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    if abs((now - at).total_seconds()) < 60:
        seconds = int((now - at).total_seconds())
        words = "just now" if -1 <= seconds <= 1 else f"{seconds} s ago" if seconds > 0 else f"in {-seconds} s"
    else:
        words = f"{timesince(at, now, depth=1)} ago" if at <= now else f"in {timeuntil(at, now, depth=1)}"
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), exact, words)


def exact(at: datetime | None) -> SafeString:
    """Return a time to the second, in UTC."""
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), at.strftime("%Y-%m-%d %H:%M:%S")) if at else NOTHING


def code(text: object) -> SafeString:
    """Return a short text in a fixed-width font."""
    return format_html('<code class="rg-code">{}</code>', text) if text not in (None, "") else NOTHING


def codes(texts: Iterable[object]) -> SafeString:
    """Return several short texts, each in a box."""
    return format_html_join(" ", '<code class="rg-code">{}</code>', ((text,) for text in texts)) or NOTHING


def pretty(value: Any) -> str:
    """Return a value as indented JSON; a very long one is cut, and says so."""
    # half of a surrogate pair, which JSON may name, can't be sent
    return cut(storable(json.dumps(value, indent=2, ensure_ascii=False, default=str)))


def cut(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return a text, or its beginning and how long it is."""
    return text if len(text) <= most else f"{text[:most]}\n… ({len(text):,} characters in all)"


def cut_line(text: str, most: int) -> str:
    """Return a line of a list, or its beginning."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def pretty_text(text: str) -> str:
    """Return a text as indented JSON where it is JSON, else as it is."""
    try:
        return pretty(json.loads(text)) if text[:1] in ("{", "[") else cut(text)
    except (ValueError, RecursionError):
        return cut(text)


def block(text: str) -> SafeString:
    """Return a text as a block that scrolls."""
    return format_html('<pre class="rg-pre">{}</pre>', text)


def admin_url(model: type[Model], page: str, key: object = None) -> str:
    """Return the address of a model's page: `changelist`, `add`, or `change` and others with a key."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[] if key is None else [str(key)])


def link(url: str, text: object) -> SafeString:
    """Return a link to a page of the admin."""
    return format_html('<a class="rg-link" href="{}">{}</a>', url, text)


def short(key: uuid.UUID | str) -> str:
    """Return the end of an id: the part in which ids of the same minute differ."""
    return f"…{str(key)[-8:]}"


def duration(seconds: float) -> str:
    """Return a length of time in words, such as `5 s`, `30 min`, `2 h`, `3 d`."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
