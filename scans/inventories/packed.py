"""Packages as they are stored: JSON of short lists, compressed. Two thousand of them take some 20 KB."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import orjson

from integrations.contract.scans import PackageUsed


def packed(packages: Iterable[PackageUsed]) -> bytes:
    """Return packages as bytes; the manifest is the row's."""
    return zlib.compress(orjson.dumps([[one.ecosystem, one.name, one.version, one.purl] for one in packages]), 6)


def unpacked(data: bytes | memoryview, manifest: str) -> list[PackageUsed]:
    """Return the packages of a row."""
    return [PackageUsed(ecosystem, name, version, purl, manifest) for ecosystem, name, version, purl in orjson.loads(zlib.decompress(data))]
