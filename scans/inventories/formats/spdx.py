"""SBOMs in SPDX 2.2 and 2.3 JSON: https://spdx.github.io/spdx-spec/v2.3/. GitHub's export puts one into `sbom`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, entries
from scans.inventories.purls import package_of


class SpdxBom(Format):
    """An SPDX SBOM."""

    key = "spdx"
    title = "SPDX 2.2 or 2.3 SBOM (JSON)"
    usual_name = "sbom.spdx.json"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """It says its version."""
        version = _bom(document).get("spdxVersion")
        return isinstance(version, str) and version.startswith("SPDX-2.")

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield the packages that name a purl among their external references."""
        for one in entries(_bom(document).get("packages")):
            for reference in entries(one.get("externalRefs")):
                if reference.get("referenceType") == "purl":
                    yield from package_of(reference.get("referenceLocator"), one.get("versionInfo"))


def _bom(document: Document) -> dict[str, Any]:
    inner = document.object.get("sbom")
    return inner if isinstance(inner, dict) else document.object
