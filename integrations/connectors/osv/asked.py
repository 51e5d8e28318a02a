"""What OSV is asked about: each package and version once, in an order of its own, whatever the order of the lock files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.connectors.osv.records import plain_name
from integrations.contract.reports import ReportedPackage
from integrations.contract.scans import PackageUsed

# https://ossf.github.io/osv-schema/#defined-ecosystems; one that OSV does not know would have it refuse a whole batch
ECOSYSTEMS = frozenset(
    {
        "AlmaLinux", "Alpaquita", "Alpine", "Android", "Azure Linux", "BellSoft Hardened Containers", "Bioconductor", "Bitnami", "CRAN",
        "Chainguard", "CleanStart", "ConanCenter", "crates.io", "Debian", "Docker Hardened Images", "Echo", "FreeBSD", "GHC",
        "GitHub Actions", "Go", "Hackage", "Hex", "Julia", "Kubernetes", "Linux", "Mageia", "Maven", "MinimOS", "npm", "NuGet", "opam",
        "openEuler", "openSUSE", "OSS-Fuzz", "Packagist", "Photon OS", "Pub", "PyPI", "Red Hat", "Rocky Linux", "Root", "RubyGems", "SUSE",
        "SwiftURL", "Ubuntu", "VSCode", "Wolfi",
    }
)  # fmt: skip
_PURLS = ("alpm", "apk", "cargo", "composer", "conan", "cran", "deb", "gem", "golang", "hackage", "hex", "maven", "npm", "nuget", "pub",
          "pypi", "rpm", "swift")  # fmt: skip
_MOST_MANIFESTS = 20


@dataclass(frozen=True)
class Asked:
    """A package in one version, and the files that name it."""

    ecosystem: str
    name: str
    version: str
    purl: str
    manifests: tuple[str, ...]

    def query(self, token: str = "") -> dict[str, Any]:
        """Return the query. OSV refuses a version beside a purl that has one, so that only what has no ecosystem is asked by its purl."""
        more = {"page_token": token} if token else {}
        if not self.ecosystem:
            return {"package": {"purl": self.purl}, **more}
        return {"package": {"ecosystem": self.ecosystem, "name": self.name}, "version": self.version, **more}

    def reported(self, fixed: str, within: str) -> ReportedPackage:
        """Return it as a finding names it: at the first of its files."""
        manifest = self.manifests[0] if self.manifests else ""
        return ReportedPackage(self.ecosystem, self.name, self.version, fixed, within, self.purl, manifest)


def asked(packages: Iterable[PackageUsed]) -> list[Asked]:
    """Return what can be asked about, sorted: what has a version, and is of an ecosystem that OSV knows."""
    found: dict[tuple[str, str, str, str], set[str]] = {}
    purls: dict[tuple[str, str, str, str], str] = {}
    for one in packages:
        if _known(one):
            name = plain_name(one.ecosystem, one.name) if one.ecosystem == "PyPI" else one.name  # as OSV has it; elsewhere as it is written
            key = (one.ecosystem, name, one.version, "" if one.ecosystem else one.purl)
            found.setdefault(key, set()).add(one.manifest)
            purls[key] = min(filter(None, (purls.get(key, ""), one.purl)), default="")
    return [Asked(*key[:3], purls[key], tuple(sorted(found[key] - {""})[:_MOST_MANIFESTS])) for key in sorted(found)]


def _known(one: PackageUsed) -> bool:
    if one.ecosystem:
        return one.ecosystem.partition(":")[0] in ECOSYSTEMS and bool(one.name and one.version)
    kind = one.purl.removeprefix("pkg:").partition("/")[0].lower()
    return one.purl.startswith("pkg:") and kind in _PURLS and "@" in one.purl


def digest(packages: Sequence[Asked]) -> str:
    """Return what tells whether these are the packages that a cursor is about."""
    mark = hashlib.blake2b(digest_size=16)
    for one in packages:
        mark.update(json.dumps([one.ecosystem, one.name, one.version, one.purl, one.manifests]).encode())
    return mark.hexdigest()
