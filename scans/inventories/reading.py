"""Reads a lock file or an SBOM."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from core.errors import InvalidInput, TooLarge
from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format
from scans.inventories.formats.detect import detect

MOST_PACKAGES = 50_000
UNKNOWN = "other"
"""What packages are counted as that OSV has no ecosystem for."""


@dataclass(frozen=True)
class Read:
    """What a file says."""

    format: type[Format]
    packages: list[PackageUsed] = field(repr=False)
    """Sorted, each once."""
    content_hash: str

    def ecosystems(self) -> dict[str, int]:
        """Return how many packages there are of each ecosystem."""
        return dict(sorted(Counter(one.ecosystem or UNKNOWN for one in self.packages).items()))


def read(name: str, data: bytes) -> Read:
    """Return what a file says; `name` is what it is called, empty if nobody said so.

    Raises InvalidInput for an unknown format and for a file without packages, TooLarge for one with too many.
    """
    document = Document(name, data)
    format = detect(document)
    found: set[PackageUsed] = set()
    for one in format().packages(document):
        found.add(one)
        if len(found) > MOST_PACKAGES:
            raise TooLarge(f"The file names more than {MOST_PACKAGES} packages.", code="too_many_packages")
    if not found:
        raise InvalidInput(
            f"The file is read as {format.title}, and names no package with its version: upload the lock file itself.",
            code="no_packages",
        )
    listed = sorted(found, key=lambda one: (one.ecosystem, one.name, one.version, one.purl))
    return Read(format, listed, hashlib.sha256(data).hexdigest())
