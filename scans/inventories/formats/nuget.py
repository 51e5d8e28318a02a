"""packages.lock.json: https://learn.microsoft.com/nuget/consume-packages/package-references-in-project-files#locking-dependencies."""

from __future__ import annotations

from collections.abc import Iterator

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, named, used


class NugetLock(Format):
    """NuGet's lock file."""

    key = "nuget"
    title = "packages.lock.json"
    usual_name = "packages.lock.json"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """It says its version, and lists by framework what was resolved."""
        frameworks = [inner for _, inner in named(document.object.get("dependencies"))]
        resolved = any("resolved" in entry for inner in frameworks for _, entry in named(inner))
        return isinstance(document.object.get("version"), int) and resolved

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield what was resolved for any framework; projects have no version."""
        for _, framework in named(document.object.get("dependencies")):
            for name, entry in named(framework):
                yield from used("NuGet", name, entry.get("resolved"))
