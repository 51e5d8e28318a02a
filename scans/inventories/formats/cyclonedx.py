"""SBOMs in CycloneDX JSON: https://cyclonedx.org/docs/1.6/json/."""

from __future__ import annotations

from collections.abc import Iterator

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, entries
from scans.inventories.purls import package_of


class CycloneDXBom(Format):
    """A CycloneDX SBOM."""

    key = "cyclonedx"
    title = "CycloneDX SBOM (JSON)"
    usual_name = "bom.json"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """It says so."""
        return document.object.get("bomFormat") == "CycloneDX"

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield the components that have a purl, and those within them; not what the SBOM is about, which is the repository itself."""
        waiting = [document.object.get("components")]
        while waiting:
            for one in entries(waiting.pop()):
                yield from package_of(one.get("purl"), one.get("version"))
                waiting.append(one.get("components"))
