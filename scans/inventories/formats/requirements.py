"""requirements.txt, as far as it pins: https://pip.pypa.io/en/stable/reference/requirements-file-format/."""

from __future__ import annotations

import re
from collections.abc import Iterator

from integrations.contract.scans import PackageUsed
from scans.inventories.formats.base import Document, Format, used

_NAME = r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
_PIN = re.compile(rf"{_NAME}\s*(?:\[[^\]]*\])?\s*(?:===?)\s*(?P<version>[^\s;,*#]+)\s*(?:[;\s].*)?")
_OTHER = re.compile(rf"(?:-.*|{_NAME}\s*(?:\[[^\]]*\])?\s*(?:[<>=!~@;\s].*)?|(?:\.{{0,2}}/|[a-z+]+://).*)")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_CALLED = re.compile(r".*(?:requirement|constraint|freeze|pins).*\.(?:txt|in|lock)|.*/?requirements/[^/]+\.txt")


class Requirements(Format):
    """pip's list of requirements; what `pip freeze` and pip-tools write pins all of them."""

    key = "requirements"
    title = "requirements.txt with pins (==)"
    usual_name = "requirements.txt"

    @classmethod
    def recognises(cls, document: Document) -> bool:
        """It has no mark of its own: by its name, or where each of its lines may be a requirement, and some are pins."""
        if _CALLED.fullmatch(document.name):
            return True
        if document.name and not document.name.endswith(".txt"):
            return False
        lines = list(_requirements(document))
        return all(_OTHER.fullmatch(line) for line in lines) and any(_PIN.fullmatch(line) for line in lines)

    def packages(self, document: Document) -> Iterator[PackageUsed]:
        """Yield the pins, whatever system they are for."""
        for line in _requirements(document):
            if found := _PIN.fullmatch(line):
                yield from used("PyPI", found["name"], found["version"])


def _requirements(document: Document) -> Iterator[str]:
    """Yield the requirements, each on one line, without comments and hashes."""
    parts: list[str] = []
    for line in document.lines:
        parts.append(line.removesuffix("\\") if line.endswith("\\") else line)
        if not line.endswith("\\"):
            whole = " ".join(_COMMENT.sub("", " ".join(parts)).partition(" --hash")[0].split())
            parts = []
            if whole:
                yield whole
