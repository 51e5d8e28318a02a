"""Which format a file is of."""

from __future__ import annotations

from core.errors import InvalidInput
from scans.inventories.formats.base import Document, Format
from scans.inventories.formats.bundler import GemfileLock
from scans.inventories.formats.cargo import CargoLock
from scans.inventories.formats.composer import ComposerLock
from scans.inventories.formats.cyclonedx import CycloneDXBom
from scans.inventories.formats.go import GoMod, GoSum
from scans.inventories.formats.gradle import GradleLock
from scans.inventories.formats.npm import PackageLock
from scans.inventories.formats.nuget import NugetLock
from scans.inventories.formats.pipfile import PipfileLock
from scans.inventories.formats.pnpm import PnpmLock
from scans.inventories.formats.python_toml import PoetryLock, UvLock
from scans.inventories.formats.requirements import Requirements
from scans.inventories.formats.spdx import SpdxBom
from scans.inventories.formats.yarn import YarnLock

FORMATS: tuple[type[Format], ...] = (
    CycloneDXBom,
    SpdxBom,
    PackageLock,
    PipfileLock,
    ComposerLock,
    NugetLock,
    YarnLock,
    PnpmLock,
    GradleLock,
    GemfileLock,
    GoSum,
    GoMod,
    PoetryLock,
    UvLock,
    CargoLock,
    Requirements,
)
"""Every format, the more telling first: adding one means a module and a line here."""
_SHOWN_NAMES = 12


def detect(document: Document) -> type[Format]:
    """Return the format of a file; raises InvalidInput for one of no known format, saying what was recognised."""
    for one in FORMATS:
        if one.recognises(document):
            return one
    known = ", ".join(one.title for one in FORMATS)
    hint = "" if document.object or document.toml else " A requirements.txt is known by its name: send it with manifest=requirements.txt."
    raise InvalidInput(f"The file is of no format that is read here: {_seen(document)}. Read are: {known}.{hint}", code="unknown_format")


def _seen(document: Document) -> str:
    """Say what a file looks like, by names alone: what it holds may be a secret."""
    if document.object:
        names = ", ".join(ascii(name)[1:-1][:40] for name in list(document.object)[:_SHOWN_NAMES])
        return f"it is JSON, an object with the names {names}"
    if document.toml:
        names = ", ".join(ascii(name)[1:-1][:40] for name in list(document.toml)[:_SHOWN_NAMES])
        return f"it is TOML with the names {names}"
    if document.text.lstrip().startswith("<"):
        return "it is XML"
    return f"it is text of {len(document.lines)} lines"
