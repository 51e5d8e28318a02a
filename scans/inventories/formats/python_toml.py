"""poetry.lock, pdm.lock and uv.lock, which list packages in TOML: https://python-poetry.org, https://pdm-project.org, https://docs.astral.sh/uv/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, entries, used

_HERE = frozenset({"directory", "editable", "virtual", "path"})


class PoetryLock(Format):
    """Poetry's lock file, and PDM's, which is like it."""

    key = "poetry"
    title = "poetry.lock, pdm.lock"
    usual_name = "poetry.lock"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """Its metadata have the version of the format."""
        meta = document.toml.get("metadata")
        return isinstance(meta, dict) and bool({"lock-version", "lock_version", "content-hash", "content_hash"} & meta.keys())

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield the packages of all groups."""
        return _packages(document)


class UvLock(Format):
    """uv's lock file."""

    key = "uv"
    title = "uv.lock"
    usual_name = "uv.lock"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """Its packages have a source that is a table; Cargo's is a text."""
        return any(isinstance(one.get("source"), dict) for one in entries(document.toml.get("package")))

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield the packages of all groups."""
        return _packages(document)


def _packages(document: Document) -> Iterator[PackageUsed]:
    for one in entries(document.toml.get("package")):
        if not _is_here(one):
            yield from used("PyPI", one.get("name"), one.get("version"))


def _is_here(package: dict[str, Any]) -> bool:
    """Say whether it is a folder of the repository itself."""
    source = package.get("source")
    if not isinstance(source, dict):
        return "path" in package
    return bool(_HERE & source.keys()) or source.get("type") in _HERE
