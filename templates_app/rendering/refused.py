"""What a template made and can't be sent, cut to the lines around the error: a page or an answer carries no 512 KB of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_CHARACTERS = 16_000
MOST_LINES = 200
"""Of each at most: before the error, and from there on."""


@dataclass(frozen=True)
class OutputLine:
    """A line of refused output; that with the error is cut where it is."""

    number: int
    text: str
    is_wrong: bool = False
    at: str = ""
    """The character with the error; "" where the output ends too early."""
    rest: str = ""


@dataclass(frozen=True)
class RefusedOutput:
    """Output that is no JSON. Lines and columns count from 1, in the whole output; `size` is that of the whole, in bytes."""

    text: str = field(repr=False)
    first_line: int
    first_column: int
    line: int
    column: int
    size: int
    of: str = ""
    """The event type; where a save tries out several, with what was put into its data."""

    def lines(self) -> Iterator[OutputLine]:
        """Yield the lines, with their numbers in the whole output."""
        for number, text in enumerate(self.text.split("\n"), self.first_line):
            if number != self.line:
                yield OutputLine(number, text)
                continue
            at = self.column - (self.first_column if number == self.first_line else 1)
            yield OutputLine(number, text[:at], True, text[at : at + 1], text[at + 1 :])


def around(output: str, at: int) -> RefusedOutput:
    """Return the part of an output that has the error at an index, in whole lines where these are short enough."""
    start, end = max(0, at - MOST_CHARACTERS), at + MOST_CHARACTERS
    before, after = output[start:at].split("\n"), output[at:end].split("\n")
    if start > 0 and len(before) > 1:
        del before[0]
    if end < len(output) and len(after) > 1:
        del after[-1]
    head, tail = "\n".join(before[-MOST_LINES - 1 :]), "\n".join(after[: MOST_LINES + 1])
    first = at - len(head)
    return RefusedOutput(
        text=head + tail,
        first_line=output.count("\n", 0, first) + 1,
        first_column=first - output.rfind("\n", 0, first),
        line=output.count("\n", 0, at) + 1,
        column=at - output.rfind("\n", 0, at),
        size=len(output.encode("utf-8", "replace")),
    )
