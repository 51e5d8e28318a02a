"""Packages as all tools' findings call them: one ecosystem word, one spelling of the name, one of the version.

A purl wins over words, for it says what they leave open; a word fills in what the purl does not say. The name that findings are
compared by is that of the ecosystem, without the distribution of an operating system: it stands in the purl, and not every tool knows it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from core.texts import storable
from integrations.packages.ecosystems import SYSTEMS, ecosystem, is_type
from integrations.packages.versions import LONGEST_VERSION, canonical_version
from scans.normal import purls
from scans.normal.purls import Purl

MOST_KIND = 40
MOST_NAME = 300
MOST_PURL = 700

_SEPARATORS = re.compile(r"[-_.]+")
_EXTRAS = re.compile(r"\[[^\]]*\]$")
_REMOTE = re.compile(r"^(?:https?://|git://|ssh://git@|git@)|\.git$", re.IGNORECASE)
_LOWER = frozenset({"npm", "nuget", "composer", "golang", "hex", "pub", "githubactions", "swift", "deb", "apk", "alpm", "bitnami"})


@dataclass(frozen=True, slots=True)
class Package:
    """A package in canonical spelling; all empty where there is none."""

    ecosystem: str = ""
    name: str = ""
    version: str = ""
    purl: str = ""


def package(word: str, name: str, version: str = "", purl: str = "") -> Package:
    """Return the package that a source names by words, by a purl, or by both."""
    # bounded before they are cached: what a report says must not fill the memory
    return _package(word[:MOST_NAME], name[:MOST_NAME], version[:LONGEST_VERSION], purl if len(purl) <= MOST_PURL else "")


@lru_cache(maxsize=8192)
def _package(word: str, name: str, version: str, purl: str) -> Package:
    parsed = purls.parse(storable(purl)) if purl else None
    kind, distribution, release = ecosystem(word)
    qualifiers: tuple[tuple[str, str], ...] = ()
    if parsed:
        kind, qualifiers = _purl_type(parsed.type), parsed.qualifiers
        said = f"{parsed.namespace}{':' if kind == 'maven' else '/'}{parsed.name}" if parsed.namespace else parsed.name
        distribution = parsed.namespace.lower() if kind in SYSTEMS and parsed.namespace else distribution
        version = _with_epoch(kind, parsed) or version
    else:
        said = storable(name).strip()
        qualifiers = (("distro", f"{distribution}-{release}"),) if distribution and release else ()
    clean, number = canonical_name(kind, said), canonical_version(kind, version)
    return Package(kind[:MOST_KIND], clean, number, _built(kind, distribution, clean, number, qualifiers)) if clean else Package()


def canonical_name(kind: str, name: str) -> str:
    """Return a name as the ecosystem of this purl type compares it."""
    text = storable(name[:MOST_NAME]).strip()
    if kind == "pypi":
        text = _SEPARATORS.sub("-", _EXTRAS.sub("", text).strip()).lower()
    elif kind == "maven":
        text = _maven(text)
    elif kind in {"swift", "golang", "githubactions"}:
        text = _REMOTE.sub("", text)
    elif kind in SYSTEMS:
        text = text.rpartition("/")[2]  # debian/openssl of purls, and source/binary of Snyk
    elif kind == "npm" and text[:3].lower() == "%40":
        text = f"@{text[3:]}"
    text = text.strip("/ ")
    if kind == "githubactions":
        text = text.partition("@")[0]
    return (text.lower() if kind in _LOWER else text)[:MOST_NAME]


def _maven(text: str) -> str:
    """Return group:artifact for group/artifact, group:artifact:version and group:artifact:jar:version too."""
    parts = [part.strip() for part in (text.split(":") if ":" in text else text.split("/"))]
    return ":".join(part for part in parts[:2] if part)


def _purl_type(kind: str) -> str:
    """Some write types that the spec does not have, such as pkg:go/ or pkg:python/."""
    return kind if is_type(kind) else ecosystem(kind)[0] or kind


def _with_epoch(kind: str, parsed: Purl) -> str:
    """Purls of RPMs name the epoch apart, all else writes it in front of the version."""
    epoch = dict(parsed.qualifiers).get("epoch", "") if kind == "rpm" else ""
    return f"{epoch}:{parsed.version}" if epoch.strip("0") and parsed.version and ":" not in parsed.version else parsed.version


def _built(kind: str, distribution: str, name: str, version: str, qualifiers: tuple[tuple[str, str], ...]) -> str:
    if not kind or not purls.is_type(kind):
        return ""
    namespace, _, last = name.rpartition(":" if kind == "maven" else "/")
    if kind in SYSTEMS:
        namespace = distribution
    if kind == "golang" and version[:1].isdigit() and last not in {"stdlib", "std"}:
        version = f"v{version}"
    if kind == "rpm" and ":" in version:
        epoch, _, version = version.partition(":")
        qualifiers = tuple(sorted({**dict(qualifiers), "epoch": epoch}.items()))
    text = Purl(kind, namespace, last, version, qualifiers).text()
    if len(text) > MOST_PURL:
        text = Purl(kind, namespace, last, version).text()
    return text if len(text) <= MOST_PURL else ""
