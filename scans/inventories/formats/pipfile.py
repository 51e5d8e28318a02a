"""Pipfile.lock: https://pipenv.pypa.io/."""

from __future__ import annotations

from collections.abc import Iterator

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, named, used


class PipfileLock(Format):
    """Pipenv's lock file."""

    key = "pipfile"
    title = "Pipfile.lock"
    usual_name = "Pipfile.lock"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """It has the hash of the Pipfile in its metadata."""
        meta = document.object.get("_meta")
        return isinstance(meta, dict) and "pipfile-spec" in meta

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield the packages of all categories: default, develop and those that people made."""
        for category, listed in named(document.object):
            for name, entry in named(listed) if category != "_meta" else ():
                version = entry.get("version")
                yield from used("PyPI", name, version.removeprefix("==")) if isinstance(version, str) else ()
