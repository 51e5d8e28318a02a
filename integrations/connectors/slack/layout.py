"""From a message to Slack's Block Kit. Pure; whatever comes in, what goes out keeps Slack's limits and holds nobody's markup."""

from __future__ import annotations

from typing import Any

from integrations.connectors.slack import limits
from integrations.contract.message import FindingLine, Message
from integrations.messages.chat import BUTTON, behind, below, named_values, shown_findings, shown_reasons, titled
from integrations.messages.cutting import and_more, cut, cut_escaped, fitting, units

Block = dict[str, Any]
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# a header is plain text, where nothing is escaped; these are neither markup anywhere nor do they look foreign
_LOOKALIKES = str.maketrans({"<": "‹", ">": "›"})
_LINE, _VALUE, _LINKED = 400, 300, 1_000
_FALLBACK = 1_000
_ROOM_TO_SAY = 40


def escape(text: str) -> str:
    """Return a text in which nothing is a link, mention or date; Slack knows these three escapes and no other."""
    return text.translate(_MARKUP)


def payload(message: Message) -> dict[str, Any]:
    """Return what is posted for a message."""
    fallback = f"{titled(message)} – {message.text}" if message.text else titled(message)
    return {
        "text": _cut(fallback, _FALLBACK),
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [block for block in _blocks(message) if block],
    }


def _blocks(message: Message) -> list[Block]:
    named = [_mrkdwn(f"*{_cut(name, 60)}*\n{_cut(value, _VALUE)}") for name, value in named_values(message)]
    counts = "\n".join(f"• {_cut(one.words(), _LINE)}" for one in message.counts)
    shown, more = shown_findings(message)
    items = [f"• {_cut(one, _LINE)}" for one in message.items]
    why, more_reasons = shown_reasons(message)
    reasons = [f"• {_cut(one, _LINE)}" for one in why]
    return [
        {"type": "header", "text": {"type": "plain_text", "text": _title(message), "emoji": False}},
        _section(_cut(message.text, 2_000)),
        {"type": "section", "fields": named[: limits.FIELDS]} if named else {},
        _section(f"*Findings*\n{counts}" if counts else ""),
        _section(_listed("*Why*", reasons, more_reasons)),
        _section(_listed("*Worst findings*", [_finding(one) for one in shown], more)),
        _section(_listed("*Events*", items, message.more_items)),
        _button(message.link),
        {"type": "context", "elements": [_mrkdwn(_cut(below(message), 500))]},
    ]


def _title(message: Message) -> str:
    title = titled(message).translate(_LOOKALIKES)
    return cut_escaped(title, limits.HEADER, str, size=units)


def _finding(one: FindingLine) -> str:
    title = _cut(one.title, _LINE)
    # an address is escaped like any text; it has no space, quote, bar or bracket
    linked = f"<{escape(one.url)}|{title}>" if one.url and len(one.url) <= _LINKED else title
    tail = _cut(behind(one), _LINE)
    return f"• *{one.severity}* {linked}" + (f" – {tail}" if tail else "")


def _listed(heading: str, lines: list[str], more: int = 0) -> str:
    """Return lines under a heading, as many as there is room for."""
    if not lines:
        return ""
    kept, left = fitting(lines, limits.TEXT - len(heading) - _ROOM_TO_SAY, lambda one: units(one) + 1)
    rest = and_more(more + left)
    return "\n".join([heading, *kept, *([rest] if rest else [])])


def _button(link: str) -> Block:
    if not link:
        return {}
    button = {"type": "button", "text": {"type": "plain_text", "text": BUTTON, "emoji": False}, "url": link, "action_id": "open"}
    return {"type": "actions", "elements": [button]}


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text)} if text else {}


def _mrkdwn(text: str) -> dict[str, Any]:
    """Return a text object; `verbatim` keeps Slack from making links and mentions of what merely looks like one."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _cut(text: str, limit: int) -> str:
    return cut_escaped(cut(text, limit), limit, escape, size=units)
