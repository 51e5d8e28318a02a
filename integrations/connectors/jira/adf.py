"""Texts of tickets as Atlassian Document Format (ADF), which version 3 of Jira's API takes. There text is text: nothing is escaped.

A text node is never empty, and a link goes to an address that is http(s) by then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from integrations.connectors.jira.limits import MAX_TEXT, units
from integrations.messages.tickets import Line, Section, TicketText, Words, more_words

Node = dict[str, Any]


def document(text: TicketText) -> Node:
    """Return a text as a document, with shorter lists where it would be too long."""
    made: Node = {"version": 1, "type": "doc", "content": list(_blocks(text))}
    if units(json.dumps(made, ensure_ascii=False)) > MAX_TEXT and (shorter := text.shorter()):
        return document(shorter)
    return made


def _blocks(text: TicketText) -> Iterator[Node]:
    for paragraph in text.paragraphs:
        yield _paragraph((Words(paragraph),))
    if text.facts:
        yield _list([[_text(f"{name}: ", strong=True), *_listed(line)] for name, line in text.facts])
    for section in text.sections:
        yield from _section(section)
    if text.links:
        yield _paragraph(text.links)
    if text.footer:
        yield {"type": "paragraph", "content": [_text(text.footer, "em")]}


def _section(section: Section) -> Iterator[Node]:
    yield {"type": "heading", "attrs": {"level": 3}, "content": [_text(section.heading)]}
    lines = [[_node(words) for words in line] for line in section.lines]
    if section.more:
        lines.append([_text(more_words(section))])
    yield _list(lines)


def _list(lines: list[list[Node]]) -> Node:
    items = [{"type": "listItem", "content": [{"type": "paragraph", "content": line}]} for line in lines]
    return {"type": "bulletList", "content": items}


def _listed(line: Line) -> Iterator[Node]:
    for number, words in enumerate(line):
        if number:
            yield _text(", ")
        yield _node(words)


def _paragraph(line: Line) -> Node:
    return {"type": "paragraph", "content": [_node(words) for words in line]}


def _node(words: Words) -> Node:
    if not words.url:
        return _text(words.text)
    return {"type": "text", "text": words.text, "marks": [{"type": "link", "attrs": {"href": words.url}}]}


def _text(text: str, mark: str = "", *, strong: bool = False) -> Node:
    mark = "strong" if strong else mark
    return {"type": "text", "text": text, **({"marks": [{"type": mark}]} if mark else {})}
