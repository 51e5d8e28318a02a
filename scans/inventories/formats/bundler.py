"""Gemfile.lock: https://bundler.io/."""

from __future__ import annotations

import re
from collections.abc import Iterator

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, used

# four blanks, a gem and its version, behind a hyphen the platform that it was built for
_SPEC = re.compile(r"    (?P<name>[^\s(]+) \((?P<version>[0-9][^\s()-]*)(?:-[^\s()]+)?\)")


class GemfileLock(Format):
    """Bundler's lock file."""

    key = "bundler"
    title = "Gemfile.lock"
    usual_name = "Gemfile.lock"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """It has a section GEM with a list of specs."""
        return not document.object and "GEM" in document.lines and "  specs:" in document.lines

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield the gems of registries; GIT and PATH are sections of their own."""
        section = ""
        for line in document.lines:
            if line and not line[0].isspace():
                section = line
            elif section == "GEM" and (found := _SPEC.fullmatch(line)):
                yield from used("RubyGems", found["name"], found["version"])
