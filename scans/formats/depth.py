"""Refuses JSON that is nested too deeply before any parser builds it: ijson's memory grows with the square of the depth."""

from __future__ import annotations

from collections.abc import Iterable

from core.errors import InvalidInput

DEEPEST = 100
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def check_depth(chunks: Iterable[bytes]) -> None:
    """Read a document; raises InvalidInput when it is nested more than DEEPEST deep. What is no JSON is left to the parser.

    All of it happens in bytes methods: texts are cut out, then all but brackets, then pairs of brackets from the inside to the outside.
    """
    open_brackets, in_text, tail = b"", 0, b""
    for chunk in chunks:
        block = tail + chunk
        # an escape is not cut in two
        kept = len(block) - len(block.rstrip(b"\\")) if block.endswith(b"\\") else 0
        block, tail = (block[:-kept], block[-kept:]) if kept else (block, b"")
        parts = block.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"') if b"\\" in block else block.split(b'"')
        brackets = open_brackets + b"".join(parts[in_text::2]).translate(None, _NOT_BRACKETS)
        in_text ^= (len(parts) - 1) & 1
        open_brackets = _reduced(brackets)


def _reduced(brackets: bytes) -> bytes:
    """Return what stays open behind these brackets; raises InvalidInput when they were nested too deeply."""
    for _ in range(DEEPEST + 1):
        less = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(less) == len(brackets):
            break
        brackets = less
    else:
        raise _too_deep()
    if len(brackets) > DEEPEST:
        raise _too_deep()
    return brackets


def _too_deep() -> InvalidInput:
    return InvalidInput(f"The report is nested more than {DEEPEST} deep, which no scanner does.", code="nested_too_deep")
