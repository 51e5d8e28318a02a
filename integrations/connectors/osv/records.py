"""Records of OSV's schema (https://ossf.github.io/osv-schema/), whoever hands them over. They may hold anything: nothing here fails."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from integrations.contract.payloads import at, objects, text

Record = Mapping[str, Any]
LONGEST = 20_000
_MOST_TEXTS = 200
_MOST_AFFECTED = 5000
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_SEPARATORS = re.compile(r"[-_.]+")
_MALICIOUS = "MAL-"


def texts(value: Any) -> list[str]:
    """Return the texts of a list, each once, in order."""
    found = value[:_MOST_TEXTS] if isinstance(value, list) else ()
    return list(dict.fromkeys(one for each in found if (one := text(each))))


def same(records: Iterable[Record]) -> list[list[Record]]:
    """Put records together that name one another, or the same CVE, as aliases. Only aliases say that two are the same.

    Two CVEs are two vulnerabilities, though a record may name both. Within a group the record that tells most comes first.
    """
    together: list[tuple[list[Record], set[str]]] = []
    known: dict[str, int] = {}
    for record in sorted(records, key=_rank):
        own = [text(record.get("id")), *texts(record.get("aliases"))]
        cves = {name for name in own if name.startswith("CVE-")}
        places = (known[name] for name in own if name in known)
        place = next((one for one in places if not cves or not together[one][1] or cves & together[one][1]), None)
        if place is None:
            place = len(together)
            together.append(([], set()))
        together[place][0].append(record)
        together[place][1].update(cves)
        for name in own:
            known.setdefault(name, place)
    return [group for group, _ in together]


def _rank(record: Record) -> tuple[bool, bool, str]:
    number = text(record.get("id"))
    return (not number.startswith("GHSA-"), number.startswith("CVE-"), number)


def affecting(record: Record, ecosystem: str, name: str) -> list[Record]:
    """Return the parts of a record about a package; of a distribution's, those of its release where the record tells releases apart."""
    found: list[Record] = [part for part in objects(record.get("affected"))[:_MOST_AFFECTED] if _is(part, ecosystem, name)]
    exact: list[Record] = [part for part in found if text(at(part, "package", "ecosystem")) == ecosystem]
    return exact or found


def _is(part: Record, ecosystem: str, name: str) -> bool:
    own = text(at(part, "package", "ecosystem"))
    same_system = not own or not ecosystem or own.partition(":")[0].lower() == ecosystem.partition(":")[0].lower()
    return same_system and plain_name(ecosystem, text(at(part, "package", "name"), 1000)) == plain_name(ecosystem, name)


def plain_name(ecosystem: str, name: str) -> str:
    """Return a name as it is compared here: not every hand writes capitals alike, and PyPI has one name for some spellings."""
    return _SEPARATORS.sub("-", name).lower() if ecosystem.lower() == "pypi" else name.lower()


def severity(records: Iterable[Record], ecosystem: str, name: str) -> tuple[str, str]:
    """Return the word that the databases give, and the field that it is from; empty where only vectors say how bad it is."""
    listed = list(records)
    for record in listed:
        if word := text(at(record, "database_specific", "severity")):
            return word, "database_specific.severity"
    for record in listed:
        for one in _rated(record, ecosystem, name):
            if text(one.get("type")) == "Ubuntu" and (word := text(one.get("score"))):
                return word, "severity Ubuntu"
    if any(text(record.get("id")).startswith(_MALICIOUS) for record in listed):
        return "critical", "a malicious package"
    return "", ""


def vectors(records: Iterable[Record], ecosystem: str, name: str) -> tuple[str, ...]:
    """Return the CVSS vectors of any version."""
    rated = (one for record in records for one in _rated(record, ecosystem, name))
    return tuple(texts([one.get("score") for one in rated if text(one.get("type")).startswith("CVSS")]))


def _rated(record: Record, ecosystem: str, name: str) -> Iterator[Record]:
    """The schema lets a record say it once, or for each package."""
    yield from objects(record.get("severity"))
    for part in affecting(record, ecosystem, name):
        yield from objects(part.get("severity"))


def weaknesses(records: Iterable[Record]) -> tuple[str, ...]:
    """Return the CWEs."""
    return tuple(texts([cwe for record in records for cwe in texts(at(record, "database_specific", "cwe_ids"))]))


def title(records: Iterable[Record], package: str) -> str:
    """Return the first summary, else a title of the number and the package."""
    listed = list(records)
    number = text(listed[0].get("id"))
    return next((said for one in listed if (said := text(one.get("summary"), 1000))), f"{number} in {package}")


def description(records: Iterable[Record]) -> str:
    """Return the first details."""
    return next((said for one in records if (said := _prose(one.get("details")))), "")


def address(number: str) -> str:
    """Return the page of a vulnerability at osv.dev, empty for what can't be an id."""
    return f"https://osv.dev/vulnerability/{number}" if _PLAIN_ID.fullmatch(number) else ""


def is_id(number: str) -> bool:
    """Say whether a text can be the id of a record."""
    return len(number) <= 200 and _PLAIN_ID.fullmatch(number) is not None


def _prose(value: Any) -> str:
    return value.strip()[:LONGEST] if isinstance(value, str) else ""
