"""The title and the body of an issue at GitHub, and of a comment: others' texts are escaped, so that they mention and link nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator

from integrations.connectors.github.telling.markdown import escaped
from integrations.messages.tickets import Line, Section, TicketText, Words, more_words

MAX_TITLE = 256
MAX_BYTES = 60_000
"""GitHub takes 65,536 characters."""
_MENTION = re.compile(r"([@#]|\bGH-)(?=\w)", re.IGNORECASE)


def title(text: str) -> str:
    """Return a title within its limit; GitHub reads no Markdown there, and its e-mails and lists get no mention either."""
    plain = _MENTION.sub("\\1\u200b", text.replace("`", "'"))
    return plain if len(plain) <= MAX_TITLE else plain[: MAX_TITLE - 1].rstrip() + "…"


def marker(mark: str) -> str:
    """Return what a ticket is found by; hidden from readers."""
    return f"<!-- repoguard:{mark} -->"


def body(text: TicketText, mark: str = "") -> str:
    """Return a text, with shorter lists where it would be too long."""
    made = "\n".join([*_lines(text), *(["", marker(mark)] if mark else [])])
    if len(made.encode()) > MAX_BYTES and (shorter := text.shorter()):
        return body(shorter, mark)
    return made


def _lines(text: TicketText) -> Iterator[str]:
    for paragraph in text.paragraphs:
        yield from (escaped(paragraph), "")
    for name, line in text.facts:
        yield f"* **{escaped(name)}:** {', '.join(_words(words) for words in line)}"
    for section in text.sections:
        yield from _section(section)
    if text.links:
        yield from ("", _joined(text.links))
    if text.footer:
        yield from ("", f"<sub>{escaped(text.footer)}</sub>")


def _section(section: Section) -> Iterator[str]:
    yield from ("", f"### {escaped(section.heading)}", "")
    for line in section.lines:
        yield f"* {_joined(line)}"
    if section.more:
        yield f"* {more_words(section)}"


def _joined(line: Line) -> str:
    return "".join(_words(words) for words in line)


def _words(words: Words) -> str:
    if not words.url:
        # what is around it is kept, as it parts the words of a line
        start, end = (" " if words.text[:1] == " " else ""), (" " if words.text[-1:] == " " else "")
        return f"{start}{escaped(words.text)}{end}"
    return f"[{escaped(words.text)}](<{words.url}>)"
