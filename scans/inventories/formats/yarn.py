"""yarn.lock of Yarn 1 and of Yarn 2 on, which look alike and are not: https://yarnpkg.com/configuration/manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, used

# name@range; the range may name another package: name@npm:other@^1
_SPEC = re.compile(r"(?P<name>@?[^@\s]+)@(?P<range>.*)")
_VERSION = re.compile(r"  version:? \"?(?P<version>[^\"\s]+)\"?")
_RESOLUTION = re.compile(r"  resolution: \"(?P<name>@?[^@\"]+)@(?P<protocol>[a-z]+):.*\"")
_ALIAS = "npm:"
_HERE = ("file:", "link:", "portal:", "workspace:", "exec:", "./", "../", "/")
_REGISTRY = frozenset({"npm", "patch"})


class YarnLock(Format):
    """Yarn's lock file."""

    key = "yarn"
    title = "yarn.lock"
    usual_name = "yarn.lock"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """Yarn 1 says so in a comment, its successors have metadata."""
        head = document.data[:4000]
        return b"# yarn lockfile v1" in head or b"\n__metadata:" in b"\n" + head

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield one package for each block of lines."""
        block: list[str] = []
        for line in [*document.lines, "end:"]:
            if line and not line[0].isspace() and line[0] != "#":
                yield from _package(block)
                block = [line]
            else:
                block.append(line)


def _package(block: list[str]) -> Iterator[PackageUsed]:
    if not block or block[0].startswith("__metadata"):
        return
    version = next((found["version"] for line in block if (found := _VERSION.fullmatch(line))), "")
    resolution = next((found for line in block if (found := _RESOLUTION.fullmatch(line))), None)
    if resolution:
        if resolution["protocol"] in _REGISTRY:
            yield from used("npm", resolution["name"], version)
        return
    spec = _SPEC.fullmatch(block[0].rstrip(":").partition(",")[0].strip().strip('"'))
    if spec and not spec["range"].startswith(_HERE):
        alias = _SPEC.fullmatch(spec["range"].removeprefix(_ALIAS)) if spec["range"].startswith(_ALIAS) else None
        yield from used("npm", alias["name"] if alias else spec["name"], version)
