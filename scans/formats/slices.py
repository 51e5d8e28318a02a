"""Reads a large document around its long lists: first all but their entries, then the entries, of each list on its own.

A streaming parser has to build every entry twice for that, since what entries refer to may come behind them. Here the first pass
only notes where they lie: the standard library's scanner tells where a value ends, and the text is taken for Latin-1, so that
places in it are places in the file. The second pass hands slices of some entries to the fast parser.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import orjson

from core.errors import InvalidInput, TooLarge
from scans.formats.source import CHUNK, DOCUMENT_BYTES, GAP_BYTES, Source

Where = tuple[str | int, ...]
"""The place of a list, such as ("runs", 0, "results")."""
_SPACE = re.compile(r"[ \t\n\r]*")
_MARK = b"\xef\xbb\xbf"
_CONTAINER_BYTES = 200
"""What an object or list around the long lists counts for at least: many empty ones take memory too."""
_NEAR = 64


class Sliced:
    """A document without the entries of the lists at some paths (`runs.item.results`), and those entries."""

    def __init__(self, source: Source, *paths: str) -> None:
        """Read the document. Raises InvalidInput for what is no JSON, TooLarge for what is too large beside the lists' entries."""
        self._source = source
        self._paths = {tuple(path.split(".")) for path in paths}
        self._around = {path[:length] for path in self._paths for length in range(len(path))}
        self._slices: dict[Where, list[tuple[int, int]]] = {}
        self._text = _Text(source)
        self._kept = 0
        self.document = self._value((), ())
        self._text.end()

    def entries(self, *where: str | int) -> Iterator[Any]:
        """Yield the entries of a list. Raises InvalidInput, perhaps behind some, for what is no JSON: texts were not looked into before."""
        for start, end in self._slices.get(where, ()):
            yield from _parsed(b"[" + self._source.part(start, end) + b"]")

    def _value(self, path: tuple[str, ...], where: Where) -> Any:
        mark = self._text.peek()
        if path in self._paths and mark == "[":
            self._slices.setdefault(where, []).extend(self._entries())
            return []
        if path in self._around and mark == "{":
            return self._object(path, where)
        if path in self._around and mark == "[":
            return self._list(path, where)
        start, end = self._text.skip()
        self._keep(end - start)
        return _parsed(self._source.part(start, end))

    def _object(self, path: tuple[str, ...], where: Where) -> dict[str, Any]:
        self._keep(_CONTAINER_BYTES)
        found: dict[str, Any] = {}
        for _ in self._text.members("}"):
            start, end = self._text.skip()
            self._keep(end - start)
            name = _parsed(self._source.part(start, end))
            if not isinstance(name, str):
                self._text.fail("a name is no text")
            self._text.take(":")
            found[name] = self._value((*path, name), (*where, name))
        return found

    def _list(self, path: tuple[str, ...], where: Where) -> list[Any]:
        self._keep(_CONTAINER_BYTES)
        found: list[Any] = []
        for _ in self._text.members("]"):
            found.append(self._value((*path, "item"), (*where, len(found))))
        return found

    def _entries(self) -> Iterator[tuple[int, int]]:
        """Yield slices of whole entries, each a chunk or a little more."""
        self._keep(_CONTAINER_BYTES)
        first = last = -1
        for _ in self._text.members("]"):
            start, last = self._text.skip()
            first = start if first < 0 else first
            if last - first >= CHUNK:
                yield first, last
                first = -1
        if first >= 0:
            yield first, last

    def _keep(self, size: int) -> None:
        self._kept += size
        if self._kept > DOCUMENT_BYTES:
            raise TooLarge(f"The report has more than {DOCUMENT_BYTES} bytes beside its entries.", code="report_too_large")


class _Text:
    """The file as text, of which a window is in memory."""

    def __init__(self, source: Source) -> None:
        self._source = source
        decoder: Any = json.JSONDecoder(parse_constant=_no_number, parse_float=_same, parse_int=_same)
        self._scan = decoder.scan_once
        self._base = len(_MARK) if source.part(0, len(_MARK)) == _MARK else 0
        self._window = ""
        self._at = 0

    def peek(self) -> str:
        """Return the next character that is no space, and go to it."""
        while True:
            match = _SPACE.match(self._window, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._window):
                return self._window[self._at]
            if not self._more(CHUNK):
                self.fail("it breaks off")

    def take(self, mark: str) -> None:
        """Go behind this character, which has to be the next."""
        if self.peek() != mark:
            self.fail(f"{mark} is missing")
        self._at += 1

    def members(self, closing: str) -> Iterator[None]:
        """Go through an object or a list: stand before each member, which the caller goes behind."""
        self._at += 1
        if self.peek() != closing:
            yield
            while self.peek() != closing:
                self.take(",")
                self.peek()
                yield
        self._at += 1

    def skip(self) -> tuple[int, int]:
        """Go behind the next value, and return where in the file it lies."""
        self.peek()
        while True:
            try:
                _, end = self._scan(self._window, self._at)
            except StopIteration as error:
                self._grow(int(error.value or 0), None)
            except json.JSONDecodeError as error:
                self._grow(len(self._window) if error.msg.startswith("Unterminated") else error.pos, error.msg)
            except (ValueError, RecursionError) as error:
                self.fail(str(error))
            else:
                # a number may go on: 1e+ is read as 1
                if end < len(self._window) - 2 or not self._more(CHUNK):
                    start, self._at = self._at, end
                    return self._base + start, self._base + end

    def end(self) -> None:
        """Raise InvalidInput where something follows."""
        if self._at < len(self._window) and self._window[self._at :].strip(" \t\n\r"):
            self.fail("something follows its end")
        while self._more(CHUNK):
            if self._window[self._at :].strip(" \t\n\r"):
                self.fail("something follows its end")
            self._at = len(self._window)

    def fail(self, why: str) -> NoReturn:
        """Raise InvalidInput that says where."""
        raise InvalidInput(f"The report is no JSON, or breaks off: {why}, near byte {self._base + self._at}.", code="no_json")

    def _grow(self, place: int, why: str | None) -> None:
        """Double the window where a value was cut off at its end; raises for one that is wrong before."""
        if place < len(self._window) - _NEAR:
            self.fail(why or "there is no value")
        size = len(self._window) - self._at
        if size > GAP_BYTES:
            raise TooLarge(f"The report has an entry of more than {GAP_BYTES} bytes.", code="entry_too_large")
        if not self._more(max(size, CHUNK)):
            self.fail(why or "it breaks off")

    def _more(self, size: int) -> bool:
        """Read on and drop what lies before the place; nothing changes at the end of the file."""
        follows = self._base + len(self._window)
        chunk = self._source.part(follows, follows + size)
        if not chunk:
            return False
        self._window = self._window[self._at :] + chunk.decode("latin-1")
        self._base += self._at
        self._at = 0
        return True


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"The report is no JSON: {error.msg.rstrip('.')}.", code="no_json") from error


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _same(number: str) -> str:
    return number
