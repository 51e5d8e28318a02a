"""What tools call the ecosystems of packages, and which purl type that is (https://github.com/package-url/purl-spec)."""

from __future__ import annotations

import re
from functools import lru_cache

from core.texts import storable

# Words of GitHub, OSV, Snyk, Trivy, Grype, OWASP and the languages' own
_WORDS = {
    "npm": "npm yarn pnpm bun node node-pkg nodejs yarn-workspace js javascript typescript",
    "pypi": "pypi pip pipenv poetry uv pdm setuptools python python-pkg requirements",
    "maven": "maven gradle gradle-lockfile sbt sbt-lockfile ivy pom jar java java-archive kotlin scala jvm android",
    "golang": "golang go gomod gobinary gomodules go-module golangdep govendor gomod-binary stdlib",
    "gem": "gem rubygems ruby bundler gemspec",
    "nuget": "nuget dotnet .net dotnet-core dotnet-deps paket packages-props packages-config c# csharp f#",
    "composer": "composer packagist php php-composer composer-vendor",
    "cargo": "cargo crates.io crates rust rustbinary rust-crate rust-binary",
    "hex": "hex mix mix-lock erlang elixir beam",
    "pub": "pub dart dart-pub flutter",
    "swift": "swift swifturl swiftpm swift-package-manager",
    "cocoapods": "cocoapods pod pods",
    "githubactions": "githubactions actions github-actions github-action github-actions-workflow",
    "conan": "conan conancenter",
    "conda": "conda conda-pkg conda-environment",
    "cran": "cran r r-package bioconductor",
    "hackage": "hackage haskell stack cabal ghc",
    "julia": "julia",
    "bitnami": "bitnami",
    "luarocks": "luarocks lua lua-rocks",
    "cpan": "cpan perl",
    "docker": "docker dockerfile oci-image",
    "oci": "oci",
    "generic": "generic binary unmanaged c c++ cpp",
    "deb": "deb debian ubuntu dpkg",
    "rpm": "rpm redhat red-hat rhel centos rocky rocky-linux alma almalinux fedora amazon amazon-linux amzn oracle oracle-linux ol suse "
    "sles suse-linux-enterprise-server opensuse opensuse-leap opensuse-tumbleweed opensuse.leap opensuse.tumbleweed photon photon-os "
    "mageia openeuler cbl-mariner mariner azurelinux azure-linux bottlerocket",
    "apk": "apk alpine alpine-linux wolfi chainguard minimos",
    "alpm": "alpm arch archlinux arch-linux pacman",
}
_TYPES = {word: kind for kind, words in _WORDS.items() for word in words.split()}
SYSTEMS = frozenset({"deb", "rpm", "apk", "alpm"})
"""Packages of operating systems: their purl's namespace is the distribution."""

_DISTRIBUTIONS = {
    "rhel": "redhat", "red-hat": "redhat", "rocky-linux": "rocky", "alma": "almalinux", "amzn": "amazon", "amazon-linux": "amazon",
    "oracle-linux": "oracle", "ol": "oracle", "sles": "suse", "suse-linux-enterprise-server": "suse", "photon-os": "photon",
    "opensuse-leap": "opensuse", "opensuse-tumbleweed": "opensuse", "opensuse.leap": "opensuse", "opensuse.tumbleweed": "opensuse",
    "alpine-linux": "alpine", "archlinux": "arch", "arch-linux": "arch", "mariner": "azurelinux", "cbl-mariner": "azurelinux",
    "azure-linux": "azurelinux",
}  # fmt: skip
_NO_DISTRIBUTION = frozenset({"deb", "rpm", "apk", "alpm", "dpkg", "pacman"})
_NO_TYPE = re.compile(r"[^a-z0-9.+-]+")
_MOST_WORD = 100


def ecosystem(word: str) -> tuple[str, str, str]:
    """Return purl type, distribution and its release for a tool's word: ("deb", "debian", "11") for Debian:11, ("npm", "", "") for yarn.

    A word that nobody knows stays a type of its own, as far as a purl type can be written so.
    """
    return _ecosystem(word[:_MOST_WORD])


def is_type(kind: str) -> bool:
    """Say whether it is a purl type that is known here."""
    return kind in _WORDS


@lru_cache(maxsize=1024)
def _ecosystem(word: str) -> tuple[str, str, str]:
    head, _, release = storable(word).strip().partition(":")
    name = "-".join(head.lower().split())
    plain = _NO_TYPE.sub("-", name).strip("-")
    name = next((each for each in (name, name.replace("_", "-"), plain) if each in _TYPES), "")
    if not name:
        return plain, "", ""
    kind = _TYPES[name]
    if kind not in SYSTEMS or name in _NO_DISTRIBUTION:
        return kind, "", ""
    return kind, _DISTRIBUTIONS.get(name, name), release.strip().lower()
