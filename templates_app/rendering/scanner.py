"""Cuts a template into texts, outputs and tags, in time linear in its length.

The language's own scanner tries patterns at each opening up to the end of the text, which takes minutes for a hostile one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from templates_app.rendering.meter import MAX_SOURCE, TemplateRefused

MAX_EXPRESSION = 1000
MAX_PIECES = 5000
_OPENING = re.compile(r"\{[{%]")
_NAME = re.compile(r"\s*(#|\w*)\s*")
_ENDS = {name: re.compile(rf"\{{%-?\s*end{name}\s*-?%\}}") for name in ("raw", "comment")}


class PieceKind(StrEnum):
    """What a piece of a template is."""

    TEXT = "text"
    OUTPUT = "output"
    TAG = "tag"


class Piece(NamedTuple):
    """A text, the expression of an output, or a tag by its name with the expression behind it."""

    kind: PieceKind
    text: str
    at: int
    expression: str = ""
    expression_at: int = 0


@dataclass(frozen=True)
class Used:
    """A variable that a template takes from the event, and where."""

    path: tuple[str | int, ...]
    line: int
    column: int

    @property
    def name(self) -> str:
        """Return it as it is written."""
        return ".".join(map(str, self.path))


def scan(source: str) -> list[Piece]:
    """Return the pieces of a template. Raises TemplateRefused for what is not closed, and for what is too large."""
    if len(source.encode("utf-8", "replace")) > MAX_SOURCE:
        raise TemplateRefused(f"It has more than {MAX_SOURCE:,} bytes: shorten it.")
    pieces: list[Piece] = []
    at, strip = 0, False
    while True:
        found = _OPENING.search(source, at)
        text, text_at = source[at : found.start() if found else len(source)], at
        if strip:
            text_at += len(text) - len(text.lstrip())
            text = text.lstrip()
        if found and source.startswith("-", found.end()):
            text = text.rstrip()
        if text:
            pieces.append(Piece(PieceKind.TEXT, text, text_at))
        if found is None:
            return pieces
        at, strip = _marked(source, found, pieces)
        if len(pieces) > MAX_PIECES:
            raise _refused(f"It has more than {MAX_PIECES:,} pieces: make it simpler.", source, found.start())


def place(source: str, index: int) -> tuple[int, int]:
    """Return line and column of an index, from 1."""
    return source.count("\n", 0, index) + 1, index - source.rfind("\n", 0, index)


def _marked(source: str, found: re.Match[str], pieces: list[Piece]) -> tuple[int, bool]:
    """Add an output or a tag, and return where it ends and whether blanks behind it go."""
    is_output = found[0] == "{{"
    closing = "}}" if is_output else "%}"
    end = source.find(closing, found.end())
    if end < 0:
        raise _refused(f"{found[0]} is never closed with {closing}.", source, found.start())
    inner_at = found.end() + source.startswith("-", found.end())
    strip = end > inner_at and source[end - 1] == "-"
    inner = source[inner_at : end - strip]
    if len(inner) > MAX_EXPRESSION:
        raise _refused(f"What stands between {found[0]} and {closing} is longer than {MAX_EXPRESSION} characters.", source, found.start())
    if is_output:
        expression_at = inner_at + len(inner) - len(inner.lstrip())
        if not inner.strip():
            raise _refused("There is nothing between {{ and }}: name a variable.", source, found.start())
        pieces.append(Piece(PieceKind.OUTPUT, inner.strip(), found.start(), inner.strip(), expression_at))
        return end + 2, strip
    name = _NAME.match(inner)
    word = name[1] if name else ""
    if word in _ENDS:
        return _verbatim(word, source, found.start(), end + 2, pieces)
    if word != "#":
        rest_at = name.end() if name else 0
        pieces.append(Piece(PieceKind.TAG, word, found.start(), inner[rest_at:].rstrip(), inner_at + rest_at))
    return end + 2, strip


def _verbatim(word: str, source: str, start: int, inner_at: int, pieces: list[Piece]) -> tuple[int, bool]:
    """Take a raw text as it is, and leave a comment out."""
    ending = _ENDS[word].search(source, inner_at)
    if ending is None:
        raise _refused(f"{{% {word} %}} is never closed with {{% end{word} %}}.", source, start)
    if word == "raw" and ending.start() > inner_at:
        pieces.append(Piece(PieceKind.TEXT, source[inner_at : ending.start()], inner_at))
    return ending.end(), source[ending.end() - 3] == "-"


def _refused(sentence: str, source: str, index: int) -> TemplateRefused:
    line, column = place(source, index)
    return TemplateRefused(sentence, line=line, column=column)
