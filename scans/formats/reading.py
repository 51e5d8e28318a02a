"""What the formats share: reading JSON that may hold anything. What is not of the kind asked for is as good as absent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from core import redact
from core.errors import InvalidInput
from integrations.contract.payloads import text
from integrations.contract.reports import ReportedFinding
from scans.formats.base import HEAD_EVENTS, Format, Head, Problem
from scans.formats.source import Source

Object = Mapping[str, Any]
LONGEST = 20_000
NO_LIST = "It is no list."
_ROOTS = re.compile(
    r"/(?:home/runner/work/[^/]+/[^/]+|github/workspace|builds/[^/]+/[^/]+|home/vsts/work/\d+/s|bitbucket/pipelines/agent/build)/"
)
"""Where the runners of GitHub, GitLab, Azure and Bitbucket check a repository out."""
_NO_NAMES = re.compile(r"ALAS\w*|ASA|CWE|DLA|DSA|ELSA|GLSA|RHBA|RHEA|RHSA|RLSA|RXSA|SUSE|OPENSUSE|USN|TEMP|CAPEC")
"""Advisories of distributions, which may be about several vulnerabilities, and what is no vulnerability."""
_QUOTES = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9]{1,15})-\S")


class Unusable(Exception):
    """An entry of a report can't be used; the sentence says what it lacks."""


class Report:
    """The parts of a report, each by its ijson prefix: out of the whole document where it is small, else in two passes over the file."""

    def __init__(self, source: Source, bulk: str) -> None:
        """`bulk` is the prefix of the entries that make most of the report: `results.item`, or `item` of an outermost list."""
        self._bulk = bulk
        self._source = None if source.is_small() else source
        if source.is_small():
            self._document = source.document()
        else:
            self._document = None if bulk == "item" else source.outline(bulk.removesuffix(".item"))

    @classmethod
    def of(cls, document: Any) -> Report:
        """Return a report of its own that another one holds."""
        report = cls.__new__(cls)
        report._bulk, report._source, report._document = "", None, document
        return report

    def each(self, prefix: str) -> Iterator[Any]:
        """Yield the values at a prefix, in order."""
        if self._source is not None and prefix == self._bulk:
            return self._source.items(prefix)
        return _walk(self._document, prefix.split("."))

    def one(self, prefix: str) -> Any:
        """Return the value at a prefix, None where there is none; of the list of the bulk only that it is a list."""
        return next(_walk(self._document, prefix.split(".")), None)

    def has_list(self, prefix: str, *, required: bool) -> bool:
        """Say whether there is a list at a prefix, or nothing where none is required."""
        value = self.one(prefix)
        return isinstance(value, list) or (value is None and not required)


def _walk(value: Any, names: list[str]) -> Iterator[Any]:
    if not names:
        yield value
    elif names[0] == "item":
        for item in value if isinstance(value, list) else ():
            yield from _walk(item, names[1:])
    elif isinstance(value, dict) and names[0] in value:
        yield from _walk(value[names[0]], names[1:])


def expect(kind: type[Format], source: Source, *, empty_list: bool = False) -> None:
    """Raise InvalidInput for what is not of this format: a report's format may be named by whoever sends it, wrongly.

    With `empty_list` a list of nothing is one of the format, though it can't be told from others'.
    """
    head = Head(source.beginning(HEAD_EVENTS))
    if not kind.recognises(head) and not (empty_list and head.document == []):
        raise InvalidInput(f"The report is not of the format {kind.key} ({kind.title}).", code="wrong_format")


def usable(where: str, entries: Iterable[Any], make: Callable[[Object], ReportedFinding]) -> Iterator[ReportedFinding | Problem]:
    """Yield a finding for each entry, or what is wrong with it."""
    for place, entry in enumerate(entries):
        try:
            if not isinstance(entry, dict):
                raise Unusable("It is no object.")
            yield make(entry)
        except Unusable as error:
            yield Problem(f"{where}[{place}]", str(error))


def listed(
    report: Report, name: str, make: Callable[[Object], ReportedFinding], *, within: str = "", required: bool = False
) -> Iterator[ReportedFinding | Problem]:
    """Yield a finding for each entry of a list, or what is wrong with it. What is no list must not pass for one without entries."""
    yield from usable(f"{within}{name}", report.each(f"{name}.item"), make)
    if not report.has_list(name, required=required):
        yield Problem(f"{within}{name}", NO_LIST)


def need(entry: Object, *names: str) -> str:
    """Return the first of the texts with these names; raises Unusable without any."""
    for name in names:
        if found := text(entry.get(name), 2000):
            return found
    raise Unusable(f"It has no {' or '.join(names)}.")


def inner(entry: Object, name: str) -> Object:
    """Return the object with this name, an empty one where there is none."""
    value = entry.get(name)
    return value if isinstance(value, dict) else {}


def word(value: Any) -> str:
    """Return a word or a number as text."""
    return f"{value:g}" if isinstance(value, float) else text(value)


def prose(value: Any) -> str:
    """Return a text of several lines."""
    return value.strip()[:LONGEST] if isinstance(value, str) else ""


def texts(value: Any) -> list[str]:
    """Return the texts of a list, or a text alone, each once, in order."""
    values = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(found for one in values if (found := text(one))))


def said(value: Any) -> str:
    """Return what a tool says in an error, for a sentence of ours: one line, short, without secrets that it may repeat."""
    return redact.text(text(value, 1000))[:300]


def masked(value: Any) -> str:
    """Return a piece of code without what stands in quotes and what looks like a secret: enough to know it again."""
    return redact.body(_QUOTES.sub(redact.MASK, prose(value)))


def names(*ids: Any) -> tuple[tuple[str, str], ...]:
    """Return (kind, id) of the names of one vulnerability, each once. A distribution's advisory is none: it may be about several."""
    found: dict[str, str] = {}
    for one in (name for value in ids for name in texts(value)):
        kind = _kind(one)
        if kind and not _NO_NAMES.fullmatch(kind):
            found.setdefault(one, kind)
    return tuple((kind, name) for name, kind in found.items())


def _kind(name: str) -> str:
    if name.startswith("npm:"):
        return "SNYK"  # how Snyk named what it found before 2018
    prefix = _PREFIX.match(name)
    return prefix[1].upper() if prefix else ""


def path(value: Any, root: Any = "") -> str:
    """Return a path relative to the repository's root, with slashes; `root` is the scanned folder, where the report tells it."""
    found = text(value, 2000).replace("\\", "/").removeprefix("file://")
    if not found:
        return ""
    checkout = _ROOTS.match(found)
    folder = "" if checkout or found.startswith("/") else _folder(root)
    parts: list[str] = []
    for part in f"{folder}/{found[checkout.end() :] if checkout else found}".split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in {"", ".", ".."}:
            parts.append(part)
    return "/".join(parts)


def below(value: Any, root: Any) -> str:
    """Return a path that begins with a slash and yet counts from the scanned folder."""
    return path(text(value, 2000).replace("\\", "/").lstrip("/"), root)


def _folder(root: Any) -> str:
    found = text(root, 2000).replace("\\", "/")
    if _ROOTS.match(found + "/"):
        return path(found + "/")
    return "" if found.startswith("/") or ":" in found or ".." in found else found


def image(name: Any) -> str:
    """Return the category of a container image's reports: its name without tag and digest. It has no place in the repository."""
    found = text(name).partition("@")[0]
    folder, slash, last = found.rpartition("/")
    return f"image:{folder}{slash}{last.partition(':')[0]}".rstrip(":")
