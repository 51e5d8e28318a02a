"""composer.lock: https://getcomposer.org/doc/01-basic-usage.md#commit-your-composer-lock-file-to-version-control."""

from __future__ import annotations

import re
from collections.abc import Iterator

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, entries, used

_VERSION = re.compile(r"v?[0-9]\S*")


class ComposerLock(Format):
    """Composer's lock file."""

    key = "composer"
    title = "composer.lock"
    usual_name = "composer.lock"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """It has the hash of composer.json, and two lists."""
        found = document.object
        return isinstance(found.get("packages"), list) and ("content-hash" in found or "packages-dev" in found)

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield what has a version; branches (dev-main) have none."""
        for part in ("packages", "packages-dev"):
            for one in entries(document.object.get(part)):
                version = one.get("version")
                if isinstance(version, str) and _VERSION.fullmatch(version):
                    yield from used("Packagist", one.get("name"), version)
