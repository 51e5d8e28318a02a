"""gradle.lockfile: https://docs.gradle.org/current/userguide/dependency_locking.html."""

from __future__ import annotations

import re
from collections.abc import Iterator

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, used

_LINE = re.compile(r"(?P<name>[^\s:=]+:[^\s:=]+):(?P<version>[^\s:=]+)=\S*")


class GradleLock(Format):
    """Gradle's lock file, and buildscript-gradle.lockfile."""

    key = "gradle"
    title = "gradle.lockfile"
    usual_name = "gradle.lockfile"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """It says so in its first line."""
        return document.data[:200].lstrip(b"\xef\xbb\xbf").startswith(b"# This is a Gradle generated file for dependency locking")

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield what any configuration uses."""
        for line in document.lines:
            if found := _LINE.fullmatch(line.strip()):
                yield from used("Maven", found["name"], found["version"])
