"""pnpm-lock.yaml, versions 5 to 9. pnpm writes it in one fixed layout, of which the names under `packages` are all that is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, used

_SECTION = re.compile(r"(?P<name>[A-Za-z]+):\s*")
_KEY = re.compile(r"  '?/?(?P<key>[^\s'][^']*?)'?:(?:\s.*)?")
_NEW = re.compile(r"(?P<name>@[^/@]+/[^/@]+|[^/@]+)@(?P<version>[0-9][^(]*)(?:\(.*)?")
_OLD = re.compile(r"(?P<name>@[^/]+/[^/]+|[^/]+)/(?P<version>[0-9][^/_]*)(?:_.*)?")


class PnpmLock(Format):
    """pnpm's lock file."""

    key = "pnpm"
    title = "pnpm-lock.yaml"
    usual_name = "pnpm-lock.yaml"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """It begins with its version, as YAML."""
        return document.data.lstrip(b"\xef\xbb\xbf \r\n-").startswith(b"lockfileVersion:")

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield what the section `packages` names: /@babel/core/7.0.0_peer, /@babel/core@7.0.0(peer@1) or @babel/core@7.0.0."""
        inside = False
        for line in document.lines:
            if section := _SECTION.fullmatch(line):
                inside = section["name"] == "packages"
            elif inside and line[:2] == "  " and line[2:3] not in ("", " ") and (key := _KEY.fullmatch(line)):
                found = _NEW.fullmatch(key["key"]) or _OLD.fullmatch(key["key"])
                yield from used("npm", found["name"], found["version"]) if found else ()
