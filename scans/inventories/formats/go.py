"""go.mod and go.sum: https://go.dev/ref/mod."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cmp_to_key

from integrations.contract.scans import PackageUsed
from integrations.packages.versions import compare
from scans.inventories.formats.base import Document, Format, used

_MODULE = re.compile(r"module\s+\S+\s*(?://.*)?")
_REQUIRED = re.compile(r"(?P<name>[^\s()]+)\s+v(?P<version>[0-9]\S*)\s*(?://.*)?")
_REPLACED = re.compile(r"(?P<old>[^\s()]+)(?:\s+v(?P<only>\S+))?\s+=>\s+(?P<new>\S+)(?:\s+v(?P<version>\S+))?\s*(?://.*)?")
_TOOLCHAIN = re.compile(r"toolchain\s+go(?P<version>[0-9]+\.[0-9]+\S*)\s*(?://.*)?")
_SUM = re.compile(r"(?P<name>\S+) v(?P<version>[0-9][^\s/]*)(?P<only_mod>/go\.mod)? h1:\S+")
_ORDER = cmp_to_key(lambda one, other: compare("golang", str(one), str(other)) or 0)


class GoMod(Format):
    """go.mod; since Go 1.17 it has all modules that are built with."""

    key = "go.mod"
    title = "go.mod"
    usual_name = "go.mod"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """It names its module."""
        return not document.object and any(_MODULE.fullmatch(line) for line in document.lines[:200])

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield the required modules as they are replaced, and the standard library where the toolchain is named."""
        required = [found for line in _directives(document, "require") if (found := _REQUIRED.fullmatch(line))]
        replaced = {found["old"]: found for line in _directives(document, "replace") if (found := _REPLACED.fullmatch(line))}
        for one in required:
            other = replaced.get(one["name"])
            if other is None or other["only"] not in (None, one["version"]):
                yield from used("Go", one["name"], one["version"])
            elif other["version"]:  # otherwise it is a folder
                yield from used("Go", other["new"], other["version"])
        for line in document.lines:
            if found := _TOOLCHAIN.fullmatch(line.strip()):
                yield from used("Go", "stdlib", found["version"])


class GoSum(Format):
    """go.sum; it keeps hashes of versions that are not used any more, so that the highest of each module is taken."""

    key = "go.sum"
    title = "go.sum"
    usual_name = "go.sum"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """Each line is a module with a hash."""
        lines = [line for line in document.lines[:50] if line]
        return not document.object and bool(lines) and all(_SUM.fullmatch(line) for line in lines)

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield the modules whose code was fetched, not those of which only the go.mod was looked into."""
        versions: dict[str, set[str]] = {}
        for line in document.lines:
            if (found := _SUM.fullmatch(line)) and not found["only_mod"]:
                versions.setdefault(found["name"], set()).add(found["version"])
        for name, known in versions.items():
            yield from used("Go", name, max(sorted(known), key=_ORDER))


def _directives(document: Document, word: str) -> Iterator[str]:
    """Yield what follows a word, alone on its line or in brackets."""
    inside = False
    for line in map(str.strip, document.lines):
        if inside and line == ")":
            inside = False
        elif inside:
            yield line
        elif line.partition("//")[0].split() == [word, "("]:
            inside = True
        elif line.split(maxsplit=1)[:1] == [word]:
            yield line.removeprefix(word).strip()
