"""From a message to an embed of Discord. Pure; whatever comes in, what goes out keeps Discord's limits and holds nobody's markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from core.times import utc_text
from integrations.connectors.discord import limits
from integrations.connectors.discord.limits import embed_size
from integrations.contract.message import FindingLine, Message, Tone
from integrations.messages.chat import behind, named_values, shown_findings, shown_reasons, titled
from integrations.messages.cutting import and_more, cut_escaped, fitting, units

_COLORS = {Tone.GOOD: 0x2DA44E, Tone.INFO: 0x3B82F6, Tone.WARNING: 0xD29922, Tone.BAD: 0xDA3633, Tone.CRITICAL: 0x8B1A1A}
_SPECIAL = re.compile(r"[\\*_~`|<>\[\]{}]|://|@|^\s*(?:[-+#]|\d+[.)])(?=[\s#])", re.MULTILINE)
_IN_ADDRESS = str.maketrans({"(": "%28", ")": "%29", "*": "%2A", "_": "%5F", "[": "%5B", "]": "%5D", "~": "%7E"})
_FACTS, _LINKED = 9, 600
_ROOM_TO_SAY = 30


def payload(message: Message, thread_name: bool = False) -> dict[str, Any]:
    """Return what is posted for a message; with `thread_name` it begins a thread of its own, as forums want it."""
    embed: dict[str, Any] = {
        "title": _cut(titled(message), limits.TITLE),
        "color": _COLORS[message.tone],
        "timestamp": utc_text(message.occurred_at),
        "footer": {"text": f"RepoGuard · {cut_escaped(message.event_type, 100, str, size=units)}"},
        "fields": _fields(message),
    }
    if message.link:
        embed["url"] = message.link
    room = min(limits.DESCRIPTION, limits.TOTAL - embed_size(embed))
    if description := _description(message, room):
        embed["description"] = description
    made: dict[str, Any] = {"embeds": [embed], "allowed_mentions": {"parse": []}}
    if thread_name:
        made["thread_name"] = cut_escaped(titled(message), limits.THREAD_NAME, str, size=units)
    return made


def escape(text: str) -> str:
    """Return a text of which Discord makes no markup, link or mention."""
    return _SPECIAL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    found = match[0]
    if found == "@":
        return "@\u200b"  # Discord's own libraries break mentions in this way
    if found == "://":
        return ":\\/\\/"  # or it becomes a link by itself
    return found[:-1] + "\\" + found[-1]


def _fields(message: Message) -> list[dict[str, Any]]:
    named = named_values(message)[:_FACTS]
    found = [{"name": _cut(name, 60), "value": _cut(value, 200), "inline": True} for name, value in named]
    if message.counts:
        counts = "\n".join(_cut(one.words(), 200) for one in message.counts[:4])
        found.append({"name": "Findings", "value": counts, "inline": False})
    return found


def _description(message: Message, room: int) -> str:
    """Return the parts that can be long, each cut to what the ones before it left."""
    shown, more = shown_findings(message)
    why, more_reasons = shown_reasons(message)
    told = _cut(message.text, min(room, 1_500))
    for heading, lines, left_out, most in (
        ("**Why**", [f"• {_cut(one, 300)}" for one in why], more_reasons, 1_500),
        ("**Worst findings**", [_finding(one) for one in shown], more, room),
        ("**Events**", [f"• {_cut(one, 300)}" for one in message.items], message.more_items, room),
    ):
        gap = "\n\n" if told else ""
        added = _listed(heading, lines, left_out, min(room - units(told) - len(gap), most))
        told += gap + added if added else ""
    return told


def _finding(one: FindingLine) -> str:
    title, tail = _cut(one.title, 200), _cut(behind(one), 200)
    linked = f"[{title}]({one.url.translate(_IN_ADDRESS)})" if one.url and len(one.url) <= _LINKED else title
    return f"• **{one.severity}** {linked}" + (f" – {tail}" if tail else "")


def _listed(heading: str, lines: Sequence[str], more: int, room: int) -> str:
    """Return lines under a heading, as many as there is room for; nothing where there is none for a single one."""
    if not lines:
        return ""
    kept, left = fitting(lines, room - units(heading) - _ROOM_TO_SAY, lambda one: units(one) + 1)
    if not kept:
        return ""
    rest = and_more(more + left)
    return "\n".join([heading, *kept, *([rest] if rest else [])])


def _cut(text: str, limit: int) -> str:
    return cut_escaped(text, limit, escape, size=units)
