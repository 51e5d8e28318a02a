"""What SBOMs call packages (purls), in OSV's words: https://ossf.github.io/osv-schema/#defined-ecosystems."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from integrations.contract.scans import PackageUsed
from scans.normal.purls import Purl, parse

_MOST_PURL = 700
_ECOSYSTEMS = {
    "npm": "npm", "pypi": "PyPI", "maven": "Maven", "golang": "Go", "gem": "RubyGems", "nuget": "NuGet", "composer": "Packagist",
    "cargo": "crates.io", "hex": "Hex", "pub": "Pub", "swift": "SwiftURL", "githubactions": "GitHub Actions", "conan": "ConanCenter",
    "cran": "CRAN", "hackage": "Hackage", "bitnami": "Bitnami", "julia": "Julia",
}  # fmt: skip
_QUALIFIERS = frozenset({"arch", "classifier", "distro", "epoch", "platform", "type", "upstream"})
_RELEASE = re.compile(r"(?P<system>[a-z]+)-v?(?P<release>[0-9]+(?:\.[0-9]+)*)")
_VERSION = re.compile(r"[^\s<>=^~*|,]+")


def package_of(purl: Any, version: Any = "") -> Iterator[PackageUsed]:
    """Yield the package of a purl that has a version, there or beside it. Without an ecosystem where OSV has none for it."""
    found = parse(purl) if isinstance(purl, str) and len(purl) <= _MOST_PURL and purl.isprintable() else None
    if found is None:
        return
    used = found.version or (version.strip() if isinstance(version, str) else "")
    if not _VERSION.fullmatch(used) or not used.isprintable() or len(used) > 200:
        return
    ecosystem, name, used = _in_words(found, used)
    # others are addresses, which may hold a password
    qualifiers = tuple(one for one in found.qualifiers if one[0] in _QUALIFIERS)
    plain = Purl(found.type, found.namespace, found.name, found.version or used, qualifiers).text()
    if 0 < len(name) <= 300 and name.isprintable():
        yield PackageUsed(ecosystem, name, used, plain if len(plain) <= _MOST_PURL else "")


def _in_words(purl: Purl, version: str) -> tuple[str, str, str]:
    """Return ecosystem, name and version as OSV has them."""
    if purl.type in {"deb", "apk", "rpm"}:
        return _of_system(purl, version)
    ecosystem = _ECOSYSTEMS.get(purl.type, "")
    if purl.type == "golang":
        version = version.removeprefix("v")
    return ecosystem, purl.full_name, version


def _of_system(purl: Purl, version: str) -> tuple[str, str, str]:
    """Packages of a distribution are known by its release, and at some by the source that they were built from."""
    qualifiers = dict(purl.qualifiers)
    name = purl.name
    if purl.type in {"deb", "apk"} and (source := qualifiers.get("upstream", "")):
        name, _, own = source.partition("@")
        version = own or version
    if purl.type == "rpm" and (epoch := qualifiers.get("epoch", "").strip()) and epoch != "0" and ":" not in version:
        version = f"{epoch}:{version}"
    return _distribution(purl.namespace.lower(), qualifiers.get("distro", "").lower()), name, version


def _distribution(system: str, distro: str) -> str:
    """Return OSV's name of a distribution and release, empty where the release is not said: flaws of another would be reported."""
    if system in {"wolfi", "chainguard"}:
        return system.title()
    found = _RELEASE.fullmatch(distro)
    if not found:
        return ""
    major, _, minor = found["release"].partition(".")
    minor = minor.partition(".")[0]
    if system == "ubuntu":
        lts = ":LTS" if minor == "04" and int(major[:4]) % 2 == 0 else ""
        return f"Ubuntu:{major}.{minor}{lts}" if minor else ""
    if system == "alpine":
        return f"Alpine:v{major}.{minor}" if minor else ""
    return {"debian": f"Debian:{major}", "rocky": f"Rocky Linux:{major}", "almalinux": f"AlmaLinux:{major}"}.get(system, "")
