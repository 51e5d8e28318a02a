"""What makes two reports speak of the same finding. Never its title, description or severity: these are reworded and rescored.

Code findings are named by tool, rule, path and a stable fingerprint; vulnerable dependencies by package, version and one name of the
vulnerability, so that another tool, which knows it by another of its names, finds the same row.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from scans.choices import Kind
from scans.normal.finding import NormalFinding

_PACKAGED = (Kind.DEPENDENCY, Kind.LICENSE)


class Package(NamedTuple):
    """What a finding about a package is about, beside the vulnerability; an empty version is not known."""

    kind: str
    ecosystem: str
    name: str
    version: str


def is_packaged(finding: NormalFinding) -> bool:
    """Say whether it is about a package and not about a place."""
    return finding.kind in _PACKAGED and bool(finding.package)


def place_key(repository_id: uuid.UUID, finding: NormalFinding, names: Iterable[str] = ()) -> bytes:
    """Return 16 bytes that name the place of a finding, or the package and the vulnerability's names; equal within a report for twins."""
    if is_packaged(finding):
        named = (finding.kind, finding.ecosystem, finding.package, finding.version, finding.rule, *names)
        return _digest(repository_id.bytes, *(part.encode() for part in named))
    rule = _rule(repository_id.bytes, finding.kind, finding.tool, finding.rule)
    return _hash(rule + _joined(finding.path.encode(), finding.fingerprint.encode()))


@lru_cache(maxsize=1024)
def _rule(repository: bytes, kind: str, tool: str, rule: str) -> bytes:
    return _joined(repository, kind.encode(), tool.encode(), rule.encode())


def identity(key: bytes, ordinal: int) -> uuid.UUID:
    """Return the identity of the `ordinal`-th of the twins that share a place: they are told apart by their order in the file."""
    return uuid.UUID(bytes=key if not ordinal else _digest(key, str(ordinal).encode()))


def package_keys(repository_id: uuid.UUID, package: Package, names: Iterable[str]) -> dict[uuid.UUID, str]:
    """Return, for each name of the vulnerability, the key by which the finding is found again, with the name."""
    base = [repository_id.bytes, *(part.encode() for part in package)]
    return {uuid.UUID(bytes=_digest(*base, name.encode())): name for name in names}


def _digest(*parts: bytes) -> bytes:
    return _hash(_joined(*parts))


def _joined(*parts: bytes) -> bytes:
    # each part is preceded by its length: no text can run over into the next
    return b"".join([b"%d:%s" % (len(part), part) for part in parts])


def _hash(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()
