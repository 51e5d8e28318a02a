r"""Texts of tickets in Jira's wiki markup, which version 2 of its API takes (Data Center). What has a meaning there is escaped.

A backslash before a sign makes it plain; a backslash itself has no such form, and is written as an entity. Signs inside of words
(CVE-2026-1, snake_case) mean nothing, and stay readable for whoever gets the text by e-mail.
"""

from __future__ import annotations

import re

from integrations.connectors.jira.limits import MAX_TEXT, units
from integrations.messages.tickets import Line, Section, TicketText, Words, more_words

_APART = "\u200b"
"""A space of no width: keeps apart what would mean something together."""
_SIGNS = re.compile(r"[{}\[\]|!*+^~?#()]|(?<![A-Za-z0-9])[-_]|[-_](?![A-Za-z0-9])")
_BLOCK = re.compile(r"^(\s*)(h[1-6]|bq)(?=\.)")
_IN_ADDRESS = {"[": "%5B", "]": "%5D", "!": "%21", "*": "%2A", "^": "%5E", "~": "%7E"}


def markup(text: TicketText) -> str:
    """Return a text, with shorter lists where it would be too long."""
    made = "\n".join(_lines(text))
    if units(made) > MAX_TEXT and (shorter := text.shorter()):
        return markup(shorter)
    return made


def escaped(text: str) -> str:
    """Return one line of somebody else's text so that it stands as it is."""
    plain = _BLOCK.sub(rf"\1\2{_APART}", text).replace("://", f":{_APART}//")
    return "&bsol;".join(_SIGNS.sub(r"\\\g<0>", part) for part in plain.split("\\"))


def _lines(text: TicketText) -> list[str]:
    lines: list[str] = []
    for paragraph in text.paragraphs:
        lines += [escaped(paragraph), ""]
    lines += [f"* *{escaped(name)}:* {', '.join(_words(one) for one in line)}" for name, line in text.facts]
    for section in text.sections:
        lines += ["", *_section(section)]
    if text.links:
        lines += ["", _joined(text.links)]
    return [*lines, "", escaped(text.footer)] if text.footer else lines


def _section(section: Section) -> list[str]:
    more = [f"* {more_words(section)}"] if section.more else []
    return [f"h3. {escaped(section.heading)}", *(f"* {_joined(line)}" for line in section.lines), *more]


def _joined(line: Line) -> str:
    return "".join(_words(one) for one in line)


def _words(words: Words) -> str:
    if not words.url:
        return escaped(words.text)
    address = "".join(_IN_ADDRESS.get(sign, sign) for sign in words.url)
    return f"[{escaped(words.text)}|{address}]"
