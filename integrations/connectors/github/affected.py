"""Asks GitHub's database of advisories about the packages that a repository uses, for repositories without Dependabot.

GitHub decides which versions are affected. It answers which advisories a set of packages has, not which of the packages an advisory
is about: where more than one of the set can be meant, each of these is asked about alone. Packages without a version are left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from core.errors import InvalidInput
from core.http.door import BadAnswer
from integrations.connectors.github.alerts import AlertKind, advisory, section_of
from integrations.connectors.github.client import Client, rows
from integrations.connectors.github.reading import part, text
from integrations.contract.reports import ReportedFinding
from integrations.contract.scans import PackageUsed, Problem, ScanItem
from integrations.packages.ecosystems import ecosystem as type_of

CATEGORY = "packages"
_TYPES = ("reviewed", "malware")
# by the type of purls
_ECOSYSTEMS = {"npm": "npm", "pypi": "pip", "maven": "maven", "gem": "rubygems", "nuget": "nuget", "composer": "composer", "golang": "go",
               "cargo": "rust", "hex": "erlang", "pub": "pub", "swift": "swift", "githubactions": "actions"}  # fmt: skip
_WITH_V = frozenset({"go", "composer"})
_ASKABLE = re.compile(r"[^\s,\x00-\x1f\x7f]{1,300}")
_AT_ONCE, _MOST_PAGES = 100, 50
_CHARACTERS = 1200  # the door takes addresses of 2,000, and GitHub's links to further pages are longer
_PLAIN = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,9}")
_BOUND = re.compile(r"(<=|>=|<|>|=)\s*(\S+)")


class Used(NamedTuple):
    """A package as GitHub knows it."""

    ecosystem: str
    name: str
    version: str


class AffectedWalk:
    """Reads on from `place`, one question at a time. Where the packages are not those of the place any more, it begins again."""

    def __init__(self, client: Client, packages: Sequence[PackageUsed], place: Mapping[str, Any]) -> None:
        self._client = client
        self._packages = _known(packages)
        self._questions = [(type, batch) for batch in _batches(sorted(self._packages)) for type in _TYPES]
        self._digest = hashlib.sha256(json.dumps(sorted(self._packages)).encode()).hexdigest()[:32]
        goes_on = place.get("digest") == self._digest
        self._asked: int = place["asked"] if goes_on else 0
        self._alone: list[tuple[str, Used]] = [(type, Used(*used)) for type, used in place["alone"]] if goes_on else []

    @property
    def has_more(self) -> bool:
        """Say whether there is a question left."""
        return bool(self._alone) or self._asked < len(self._questions)

    def place(self) -> dict[str, Any]:
        """Return where it stands; plain JSON."""
        return {"digest": self._digest, "asked": self._asked, "alone": [[type, list(used)] for type, used in self._alone]}

    def step(self) -> list[ScanItem]:
        """Ask the next question. Without packages there is none, and no section: nothing is known of what the repository uses."""
        if not self.has_more:
            return []
        type, batch = (self._alone[0][0], [self._alone[0][1]]) if self._alone else self._questions[self._asked]
        found = list(self._advisories(type, batch))
        meant = [[used for used in batch if _is_about(one, used)] for one in found]
        unclear = {used for candidates in meant if len(candidates) > 1 for used in candidates}
        items: list[ScanItem] = [replace(section_of({}, AlertKind.ADVISORY), category=CATEGORY)]
        for one, candidates in zip(found, meant, strict=True):
            if not candidates:
                items.append(
                    Problem(f"Advisory {text(one, 'ghsa_id')[:100]}", "It is about none of the packages that it was answered for.")
                )
            elif not set(candidates) & unclear:
                items += self._finding(one, candidates[0])
        if self._alone:
            self._alone = self._alone[1:]
        else:
            self._asked += 1
        self._alone += [(type, used) for used in sorted(unclear)]
        return items

    def _advisories(self, type: str, batch: Sequence[Used]) -> Iterator[Mapping[str, Any]]:
        params = {"type": type, "ecosystem": batch[0].ecosystem, "affects": _affects(batch)}
        for number, reply in enumerate(self._client.pages("/advisories", params, what="the advisories of the packages used")):
            if number >= _MOST_PAGES:
                raise BadAnswer(
                    "GitHub has too many advisories of a few packages to be read. Look at the list of packages.", permanent=True
                )
            yield from rows(reply)

    def _finding(self, one: Mapping[str, Any], used: Used) -> list[ScanItem]:
        package = self._packages[used]
        try:
            found = advisory({**one, "vulnerabilities": [_vulnerability(one, used)]})
        except InvalidInput as error:
            return [Problem(f"Advisory {text(one, 'ghsa_id')[:100]}", error.message)]
        return [_used(finding, package) for finding in found]


def _used(finding: ReportedFinding, used: PackageUsed) -> ReportedFinding:
    if finding.package is None:
        return finding
    return replace(finding, package=replace(finding.package, version=used.version, purl=used.purl, manifest=used.manifest))


def _known(packages: Sequence[PackageUsed]) -> dict[Used, PackageUsed]:
    """Return the packages that can be asked about, each once."""
    known: dict[Used, PackageUsed] = {}
    for package in packages:
        said = package.ecosystem or package.purl.removeprefix("pkg:").partition("/")[0]
        ecosystem = _ECOSYSTEMS.get(type_of(said)[0])
        version = package.version[1:] if ecosystem in _WITH_V and re.match(r"v\d", package.version) else package.version
        if ecosystem and _ASKABLE.fullmatch(package.name) and _ASKABLE.fullmatch(version):
            known.setdefault(Used(ecosystem, package.name, version), package)
    return known


def _batches(packages: Iterable[Used]) -> Iterator[list[Used]]:
    """Yield packages of one ecosystem, as many as an address takes."""
    by_ecosystem: dict[str, list[Used]] = defaultdict(list)
    for used in packages:
        by_ecosystem[used.ecosystem].append(used)
    for together in by_ecosystem.values():
        batch: list[Used] = []
        size = 0
        for used in together:
            length = len(quote_plus(_affects([used]))) + 3  # with its comma
            if batch and (len(batch) >= _AT_ONCE or size + length > _CHARACTERS):
                yield batch
                batch, size = [], 0
            batch.append(used)
            size += length
        yield batch


def _affects(batch: Iterable[Used]) -> str:
    return ",".join(f"{used.name}@{used.version}" for used in batch)


def _is_about(one: Mapping[str, Any], used: Used) -> bool:
    return any(True for _ in _about(one, used))


def _about(one: Mapping[str, Any], used: Used) -> Iterator[Mapping[str, Any]]:
    """Yield what an advisory says about a package."""
    listed = one.get("vulnerabilities")
    for vulnerability in islice(listed, 500) if isinstance(listed, list) else ():
        package = part(vulnerability, "package")
        if text(package, "ecosystem").lower() == used.ecosystem and _plain(text(package, "name")) == _plain(used.name):
            yield vulnerability


def _vulnerability(one: Mapping[str, Any], used: Used) -> Mapping[str, Any]:
    """Return what an advisory says about this version of a package; where that can't be told, all ranges and no version that mends it."""
    about = list(_about(one, used))
    fitting = [vulnerability for vulnerability in about if _lies_in(used.version, text(vulnerability, "vulnerable_version_range"))]
    if len(about) == 1 or len(fitting) == 1:
        return (fitting or about)[0]
    ranges = " || ".join(text(vulnerability, "vulnerable_version_range") for vulnerability in about)
    return {"package": about[0]["package"], "vulnerable_version_range": ranges}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.lower())


def _lies_in(version: str, bounds: str) -> bool:
    """Say whether a version of plain numbers lies between bounds of plain numbers; False where anything else is written."""
    for bound in bounds.split(","):
        match = _BOUND.fullmatch(bound.strip())
        if match is None or not _PLAIN.fullmatch(version) or not _PLAIN.fullmatch(match[2]):
            return False
        one, other = _numbers(version), _numbers(match[2])
        if not {"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other, "=": one == other}[match[1]]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in version.split("."))
    return numbers + (0,) * (10 - len(numbers))
