"""From a message to an Adaptive Card. Pure; whatever comes in, what goes out is small enough and holds nobody's markup."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from integrations.connectors.teams.limits import CARD, MAX_BYTES
from integrations.contract.message import FindingLine, Message, Tone
from integrations.messages.chat import BUTTON, behind, below, named_values, shown_findings, shown_reasons, titled
from integrations.messages.cutting import and_more, cut_escaped

Element = dict[str, Any]
_STYLES = {Tone.GOOD: "good", Tone.INFO: "accent", Tone.WARNING: "warning", Tone.BAD: "attention", Tone.CRITICAL: "attention"}
_SPECIAL = re.compile(r"[\\`*_\[\]<>~#|{}&!@]|://|\bwww\.|^\s*(?:[-+]|\d+[.)])(?=\s)", re.MULTILINE)
_IN_ADDRESS = str.maketrans({"(": "%28", ")": "%29", "*": "%2A", "_": "%5F", "[": "%5B", "]": "%5D", "'": "%27", "!": "%21", "~": "%7E"})
_SMALLEST = 0.02
_LINES = 30


def payload(message: Message) -> dict[str, Any]:
    """Return what is posted for a message: as much as fits."""
    scale = 1.0
    while True:
        made = _Layout(message, scale).made()
        if len(encoded(made)) <= MAX_BYTES or scale < _SMALLEST:
            return made
        scale *= 0.75


def encoded(made: dict[str, Any]) -> bytes:
    """Return the bytes that are sent, which are those that count."""
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()


def escape(text: str) -> str:
    """Return a text of which the card's Markdown makes no link, list, emphasis, entity or date."""
    return _SPECIAL.sub(_escaped, text).replace("\n", "\n\n")


def _escaped(match: re.Match[str]) -> str:
    found = match[0]
    if found == "://":
        return ":\\/\\/"  # or it becomes a link by itself
    return found[:-1] + "\\" + found[-1]


class _Layout:
    """One try: texts and lists shortened by a scale."""

    def __init__(self, message: Message, scale: float) -> None:
        self._message, self._scale = message, scale

    def made(self) -> dict[str, Any]:
        message = self._message
        card: dict[str, Any] = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "fallbackText": self._cut(titled(message), 300),
            "body": self._body(),
            "msteams": {"width": "Full"},
        }
        if message.link:
            card["actions"] = [{"type": "Action.OpenUrl", "title": BUTTON, "url": message.link}]
        return {"type": "message", "attachments": [{"contentType": CARD, "contentUrl": None, "content": card}]}

    def _body(self) -> list[Element]:
        message = self._message
        shown, more = shown_findings(message)
        facts = [{"title": self._cut(name, 60), "value": self._cut(value, 300)} for name, value in named_values(message)]
        return [
            self._head(),
            *([{"type": "FactSet", "facts": facts}] if facts else []),
            *self._listed("Findings", [one.words() for one in message.counts]),
            *self._listed("Why", *shown_reasons(message)),
            *self._made_list("Worst findings", [self._finding(one) for one in shown], more),
            *self._listed("Events", message.items, message.more_items),
            _text(self._cut(below(message), 200), isSubtle=True, size="Small", spacing="Medium"),
        ]

    def _head(self) -> Element:
        items = [_text(self._cut(titled(self._message), 300), size="Medium", weight="Bolder")]
        if self._message.text:
            items.append(_text(self._cut(self._message.text, 2_000), spacing="Small"))
        return {"type": "Container", "style": _STYLES[self._message.tone], "bleed": True, "items": items}

    def _listed(self, heading: str, lines: Sequence[str], more: int = 0) -> list[Element]:
        kept = lines[: max(int(_LINES * self._scale), 1)]
        return self._made_list(heading, [self._cut(one, 400) for one in kept], more + len(lines) - len(kept))

    def _made_list(self, heading: str, lines: list[str], more: int) -> list[Element]:
        if not lines:
            return []
        rest = [and_more(more)] if more else []
        return [_text(heading, weight="Bolder", spacing="Medium"), *(_text(one, spacing="Small") for one in [*lines, *rest])]

    def _finding(self, one: FindingLine) -> str:
        title, tail = self._cut(one.title, 300), self._cut(behind(one), 300)
        linked = f"[{title}]({one.url.translate(_IN_ADDRESS)})" if one.url and len(one.url) <= 1_000 * self._scale else title
        return f"**{one.severity}** {linked}" + (f" – {tail}" if tail else "")

    def _cut(self, text: str, limit: int) -> str:
        return cut_escaped(text, max(int(limit * self._scale), 10), escape)


def _text(text: str, **more: Any) -> Element:
    return {"type": "TextBlock", "text": text, "wrap": True, **more}
