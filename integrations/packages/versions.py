"""Versions of packages compared as their ecosystem orders them. What can't be read compares with nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from univers import versions as univers

from core.texts import storable

MOST_VERSION = 64
"""So long may a version be that is compared: none is longer, and comparing takes no time that somebody else may choose."""
LONGEST_VERSION = 200
"""So much of a version is kept."""

SEMVER = frozenset({"npm", "cargo", "golang", "hex", "pub", "swift", "githubactions", "bitnami", "julia"})
_CLASSES: dict[str, type[univers.Version]] = {
    **dict.fromkeys(SEMVER, univers.SemverVersion),
    "pypi": univers.PypiVersion,
    "gem": univers.RubygemsVersion,
    "cocoapods": univers.RubygemsVersion,
    "maven": univers.MavenVersion,
    "nuget": univers.NugetVersion,
    "composer": univers.NugetVersion,  # four numbers and the names of pre-releases in any case, as Composer has them
    "deb": univers.DebianVersion,
    "rpm": univers.RpmVersion,
    "apk": univers.AlpineLinuxVersion,
    "alpm": univers.ArchLinuxVersion,
    "conan": univers.ConanVersion,
    "hackage": univers.IntdotVersion,
}
# The library makes something of any text; what is no version of these ecosystems is not to be compared
_PATTERNS = {
    **dict.fromkeys(SEMVER, re.compile(r"[0-9]+(?:\.[0-9]+){0,2}(?:-[0-9A-Za-z.-]+)?")),
    **dict.fromkeys(("nuget", "composer"), re.compile(r"[0-9]+(?:\.[0-9]+){0,3}(?:-(?!p|dev)[0-9A-Za-z.-]+)?", re.IGNORECASE)),
    "nuget": re.compile(r"[0-9]+(?:\.[0-9]+){0,3}(?:-[0-9A-Za-z.-]+)?"),
    "maven": re.compile(r"[0-9A-Za-z]+(?:[.+_-][0-9A-Za-z]+)*"),
    "gem": re.compile(r"[0-9]+(?:\.[0-9A-Za-z]+)*(?:-[0-9A-Za-z.-]+)?"),
}
_BUILD = frozenset({*SEMVER, "nuget", "composer"})
_NO_VERSION = frozenset({"unknown", "n/a", "na", "none", "null", "undefined", "latest", "*", "-", "unspecified", "(devel)", "devel"})
_PREFIXED = frozenset(
    {"npm", "golang", "composer", "cargo", "swift", "hex", "pub", "nuget", "pypi", "githubactions", "gem", "conan", "cocoapods"}
)
_LEADING = re.compile(r"^(?:[=v]+\s*)(?=[0-9])", re.IGNORECASE)


def canonical_version(kind: str, version: str) -> str:
    """Return a version without what its ecosystem ignores in front; empty for what says no version, a range or a word."""
    text = storable(version[:LONGEST_VERSION]).strip()
    if kind == "golang" and text[:2] == "go":
        text = text[2:]
    if kind in _PREFIXED:
        text = _LEADING.sub("", text)
    elif kind in {"deb", "rpm"}:
        text = text.removeprefix("0:")
    if not text or text.lower() in _NO_VERSION or text[0] in "<>^~=!([" or any(character in text for character in ",|*") or " " in text:
        return ""
    return (text.lower() if kind in {"pypi", "nuget"} else text)[:LONGEST_VERSION]


def is_ordered(kind: str) -> bool:
    """Say whether versions of this purl type can be compared at all."""
    return kind in _CLASSES


def compare(kind: str, one: str, other: str) -> int | None:
    """Return less than, equal to or more than zero as `one` is older, the same or newer; None where that can't be judged."""
    first, second = _version(kind, one), _version(kind, other)
    if first is None or second is None:
        return None
    try:
        older, newer = bool(first < second), bool(second < first)
    except Exception:  # the library's comparisons meet texts that its parsers let through
        return None
    if older and newer:
        return None
    return int(newer) - int(older)  # equal is what is neither: some of its classes find 0 and 00 unequal


def _version(kind: str, text: str) -> univers.Version | None:
    return _parsed(kind, text) if len(text) <= MOST_VERSION else None


@lru_cache(maxsize=8192)
def _parsed(kind: str, text: str) -> univers.Version | None:
    make: Callable[[str], univers.Version] | None = _CLASSES.get(kind)
    clean = canonical_version(kind, text)
    if kind in _BUILD:
        clean = clean.partition("+")[0]  # what was built how has no part in the order
    pattern = _PATTERNS.get(kind)
    if make is None or not clean.isascii() or not clean or (pattern and not pattern.fullmatch(clean)):
        return None
    try:
        return make(clean)
    except Exception:  # each class raises errors of its own for what it can't read
        return None
