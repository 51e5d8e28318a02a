"""Package URLs, read and written as https://github.com/package-url/purl-spec says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

_MOST = 1000
_TYPE = re.compile(r"[a-z][a-z0-9.+-]*")
_KEY = re.compile(r"[a-z][a-z0-9._-]*")
_KEPT = ":"  # what the spec leaves unescaped, beside letters, digits and .-_~


@dataclass(frozen=True, slots=True)
class Purl:
    """The parts of a package URL, decoded. The subpath is left out: it is no part of what is vulnerable."""

    type: str
    namespace: str
    name: str
    version: str = ""
    qualifiers: tuple[tuple[str, str], ...] = ()
    """Sorted by name."""

    @property
    def full_name(self) -> str:
        """Return the name as people write it: @scope/package, group:artifact."""
        return (":" if self.type == "maven" else "/").join(filter(None, (self.namespace, self.name)))

    def text(self) -> str:
        """Return the canonical text."""
        path = "".join(f"{quote(segment, safe=_KEPT)}/" for segment in self.namespace.split("/") if segment)
        version = f"@{quote(self.version, safe=_KEPT)}" if self.version else ""
        pairs = "&".join(f"{name}={quote(value, safe=_KEPT + '/')}" for name, value in self.qualifiers if value)
        return f"pkg:{self.type}/{path}{quote(self.name, safe=_KEPT)}{version}{'?' + pairs if pairs else ''}"


def is_type(kind: str) -> bool:
    """Say whether a purl can be written with it."""
    return _TYPE.fullmatch(kind) is not None


def parse(text: str) -> Purl | None:
    """Return the parts, None for what is no package URL."""
    return _parse(text.strip()) if 0 < len(text) <= _MOST else None


@lru_cache(maxsize=8192)
def _parse(text: str) -> Purl | None:
    rest = text.partition("#")[0]
    rest, _, query = rest.partition("?")
    scheme, colon, rest = rest.partition(":")
    kind, slash, rest = rest.lstrip("/").partition("/")
    kind = kind.lower()
    if scheme.lower() != "pkg" or not colon or not slash or not _TYPE.fullmatch(kind):
        return None
    rest = rest.strip("/")
    # an unescaped @ begins the version, but where it begins a scope: pkg:npm/@babel/core@7.0.0
    at = rest.rfind("@")
    version = ""
    if at > 0 and rest[at - 1] != "/":
        rest, version = rest[:at], unquote(rest[at + 1 :])
    segments = [part for segment in rest.split("/") if (part := unquote(segment).strip("/")) and part not in {".", ".."}]
    if not segments:
        return None
    return Purl(kind, "/".join(segments[:-1]), segments[-1], version.strip(), _qualifiers(query))


def _qualifiers(query: str) -> tuple[tuple[str, str], ...]:
    pairs = (pair.partition("=") for pair in query.split("&"))
    found = {name.lower(): unquote(value) for name, _, value in pairs if value and _KEY.fullmatch(name.lower())}
    return tuple(sorted(found.items()))
