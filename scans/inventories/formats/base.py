"""What a format is: it recognises a file by what it holds, and yields the packages that it pins. Files are hostile: only InvalidInput."""

from __future__ import annotations

import re
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar

import orjson

from core.errors import InvalidInput, TooLarge
from integrations.contract.scans import PackageUsed
from scans.formats.depth import check_depth

MOST_TOML = 6 * 1024 * 1024
_MOST_DOTS, _MOST_DOTS_QUOTED = 20, 500
# one that does not end takes the rest: to try again behind each of its quotes would take the square of the line
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*+\"?|'[^']*+'?")
MOST_NAME = 300
MOST_VERSION = 200


class Document:
    """A file of a few megabytes at most, in memory."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name.rpartition("/")[2].lower()
        """Its last name in lower case, empty where nobody said it."""
        self.data = data

    @cached_property
    def text(self) -> str:
        """Return the file as text; raises InvalidInput for what is none."""
        try:
            return self.data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InvalidInput("The file is no text in UTF-8: upload a lock file or an SBOM in JSON.", code="no_text") from None

    @cached_property
    def lines(self) -> list[str]:
        """Return the lines without what ends them."""
        return self.text.replace("\r\n", "\n").split("\n")

    @cached_property
    def object(self) -> dict[str, Any]:
        """Return the object that a JSON file holds, an empty one for anything else; raises InvalidInput for one nested too deeply."""
        if self.data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
            return {}
        try:
            check_depth([self.data])
        except InvalidInput as error:
            raise InvalidInput("The file is nested deeper than any lock file or SBOM.", code=error.code) from None
        try:
            found = orjson.loads(self.data.removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"The file begins like JSON and is none: {error.msg.rstrip('.')}.", code="no_json") from None
        return found if isinstance(found, dict) else {}

    @cached_property
    def toml(self) -> dict[str, Any]:
        """Return what a TOML file holds, nothing for anything else; raises TooLarge for more than its slow parser may be given."""
        # names in many parts take the parser the square of their number
        if any(_has_long_name(line) for line in self.lines):
            return {}
        first = next(filter(None, map(str.strip, self.lines)), "")
        if not first.startswith(("#", "[")) and "=" not in first:
            return {}
        if len(self.data) > MOST_TOML:
            raise TooLarge(f"A lock file in TOML may have {MOST_TOML} bytes.")
        try:
            return tomllib.loads("\n".join(self.lines))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}


class Format(ABC):
    """A format of lock files or SBOMs."""

    key: ClassVar[str]
    title: ClassVar[str]
    usual_name: ClassVar[str]
    """What such a file is called where its sender does not say it."""

    @classmethod
    @abstractmethod
    def recognises(cls, document: Document) -> bool:
        """Say whether it is a file of this format."""

    @abstractmethod
    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield the packages with a version; what is no package of a registry, such as a folder of the repository, is left out."""


def _has_long_name(line: str) -> bool:
    """Say whether a line may name something in many parts. What only seems quoted, behind the end of a longer text, is given more room."""
    dots = line.count(".")
    return dots > _MOST_DOTS_QUOTED or (dots > _MOST_DOTS and _QUOTED.sub("", line).count(".") > _MOST_DOTS)


def used(ecosystem: str, name: Any, version: Any) -> Iterator[PackageUsed]:
    """Yield a package where name and version are ones."""
    if not isinstance(name, str) or not isinstance(version, str):
        return
    if 0 < len(name) <= MOST_NAME and 0 < len(version) <= MOST_VERSION and _is_word(name) and _is_word(version):
        yield PackageUsed(ecosystem, name, version)


def _is_word(text: str) -> bool:
    return text.isprintable() and not any(letter.isspace() for letter in text)


def entries(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list."""
    yield from (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def named(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the names of an object whose values are objects."""
    yield from ((name, one) for name, one in value.items() if isinstance(one, dict)) if isinstance(value, dict) else ()
