"""Packages that a report names by their purl (https://github.com/package-url/purl-spec)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from integrations.contract.reports import ReportedPackage

_LONGEST = 1000
_PURL = re.compile(r"pkg:/{0,2}([A-Za-z0-9.+-]+)/([^?#]+)")


def package_of(purl: Any, manifest: str = "", fixed_version: str = "", vulnerable_range: str = "") -> ReportedPackage | None:
    """Return the package that a purl names, None for what is no purl."""
    found = _parsed(purl) if isinstance(purl, str) and len(purl) <= _LONGEST else None
    if found is None:
        return None
    ecosystem, name, version = found
    return ReportedPackage(ecosystem, name, version, fixed_version, vulnerable_range, purl, manifest)


@lru_cache(maxsize=4096)
def _parsed(purl: str) -> tuple[str, str, str] | None:
    match = _PURL.match(purl)
    if match is None:
        return None
    path, at, version = match[2].strip("/").rpartition("@")
    if not at or not path or path.endswith("/"):  # pkg:npm/@babel/core, whose scope some do not escape
        path, version = match[2].strip("/"), ""
    names = [unquote(name) for name in path.split("/") if name]
    if not names:
        return None
    separator = ":" if match[1].lower() == "maven" else "/"
    return match[1].lower(), separator.join(filter(None, ("/".join(names[:-1]), names[-1]))), unquote(version)
