"""package-lock.json and npm-shrinkwrap.json, versions 1 to 3: https://docs.npmjs.com/cli/configuring-npm/package-lock-json."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, named, used

_FOLDER = "node_modules/"
_ALIAS = re.compile(r"npm:(?P<name>@?[^@]+)@(?P<version>.+)")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\S*")


class PackageLock(Format):
    """npm's lock file."""

    key = "package-lock"
    title = "package-lock.json"
    usual_name = "package-lock.json"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """It says its version, as a number."""
        found = document.object
        listed = isinstance(found.get("packages"), dict) or isinstance(found.get("dependencies"), dict)
        return listed and isinstance(found.get("lockfileVersion"), int)

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield what is installed: of the second version on it is listed by folder, before it stands where it is needed."""
        found = document.object
        if isinstance(found.get("packages"), dict):
            for folder, entry in named(found["packages"]):
                if _FOLDER in folder and not entry.get("link"):
                    yield from _one(entry.get("name") or folder.rpartition(_FOLDER)[2], entry.get("version"))
            return
        waiting = [found.get("dependencies")]
        while waiting:
            for name, entry in named(waiting.pop()):
                yield from _one(name, entry.get("version"))
                waiting.append(entry.get("dependencies"))


def _one(name: Any, version: Any) -> Iterator[PackageUsed]:
    if isinstance(version, str) and (alias := _ALIAS.fullmatch(version)):
        name, version = alias["name"], alias["version"]
    if isinstance(version, str) and _VERSION.fullmatch(version):
        yield from used("npm", name, version)
