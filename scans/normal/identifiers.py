"""Names of vulnerabilities: what kind each is, how it is written, and which of them may lead from one tool's finding to another's.

Only names that sources give as aliases come in here, nothing that is merely related. A group of aliases with more than one CVE exists
(one GHSA record may cover several): such a group is known by one name only, so that findings of its CVEs are never merged through it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

from core.texts import storable

Identifier = tuple[str, str]
"""(kind, value)"""

MOST = 50
_MOST_KIND = 20
_MOST_VALUE = 150

_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}", re.IGNORECASE)
_GHSA = re.compile(r"GHSA(?:-[0-9a-z]{4}){3}", re.IGNORECASE)
_UPPER = {
    "PYSEC": re.compile(r"PYSEC-[0-9]{4}-[0-9]+", re.IGNORECASE),
    "RUSTSEC": re.compile(r"RUSTSEC-[0-9]{4}-[0-9]+", re.IGNORECASE),
    "GO": re.compile(r"GO-[0-9]{4}-[0-9]+", re.IGNORECASE),
    "SNYK": re.compile(r"SNYK-[A-Z0-9]+-[A-Z0-9_.:-]+", re.IGNORECASE),
}
_OLD_SNYK = re.compile(r"(?:npm|pip|rubygems|maven|composer|nuget|golang):[^\s]+:[0-9]{8}(?:-[0-9]+)?", re.IGNORECASE)
# Other databases of the OSV schema (https://ossf.github.io/osv-schema/#id-modified-fields) whose records are about one vulnerability each
_OSV = re.compile(
    r"(?=.*[0-9])(?:A|ALPINE-CVE|ASB-A|BELL-CVE|BIT|CGA|CURL-CVE|DEBIAN-CVE|DRUPAL-CONTRIB|ECHO|EEF-CVE|GSD|HSEC|JLSEC|LBSEC|MAL|MINI|OSEC|OSV|"
    r"PSF|PUB-A|RSEC|UBUNTU-CVE|V8)-[A-Za-z0-9_.:-]+",
    re.IGNORECASE,
)
# Bulletins of distributions, which tell of several vulnerabilities at once: never a way from one finding to another
_BULLETIN = re.compile(
    r"(?=.*[0-9])(?:ALAS[0-9A-Z]*|ALBA|ALEA|ALSA|ASA|AZL|CESA|CLSA|DLA|DSA|DTSA|ELSA|FEDORA|FEDORA-EPEL|GLSA|KB|MGASA|OESA|OPENSUSE-[A-Z]{2}|"
    r"RHBA|RHEA|RHSA|RLSA|RXSA|SSA|SUSE-[A-Z]{2}|USN)-[A-Za-z0-9_.:-]+",
    re.IGNORECASE,
)
_BRIDGES = frozenset({"CVE", "GHSA", "SNYK", "PYSEC", "RUSTSEC", "GO", "OSV"})
_RANKS = {kind: rank for rank, kind in enumerate(("CVE", "GHSA", "PYSEC", "RUSTSEC", "GO", "SNYK", "OSV", "BULLETIN"))}


def identifier(value: str, kind: str = "") -> Identifier | None:
    """Return kind and canonical spelling; the pattern of the value says the kind, the source's word only where none fits. None if empty."""
    # bounded before they are cached: what a report says must not fill the memory
    return _identifier(value[:_MOST_VALUE].strip(), kind[:_MOST_KIND].strip())


@lru_cache(maxsize=16384)
def _identifier(value: str, kind: str) -> Identifier | None:
    text = storable(value)
    return (_known(text) or (storable(kind).upper()[:_MOST_KIND] or "OTHER", text)) if text else None


def _known(text: str) -> Identifier | None:
    if _CVE.fullmatch(text):
        return "CVE", text.upper()
    if _GHSA.fullmatch(text):
        return "GHSA", f"GHSA{text[4:].lower()}"
    for kind, pattern in _UPPER.items():
        if pattern.fullmatch(text):
            return kind, text.upper()
    if _OLD_SNYK.fullmatch(text):
        return "SNYK", text.lower()
    if _BULLETIN.fullmatch(text):
        return "BULLETIN", text
    return ("OSV", text) if _OSV.fullmatch(text) else None


def is_known(value: str) -> bool:
    """Say whether a text is the name of a vulnerability by its looks alone."""
    return len(value) <= _MOST_VALUE and _known(value.strip()) is not None


def identifiers(reported: Iterable[Identifier], own: str = "") -> tuple[Identifier, ...]:
    """Return all names, the source's own among them if it is one by its looks; sorted, each once."""
    found = {known for kind, value in reported if (known := identifier(value, kind))}
    if own and is_known(own) and (known := identifier(own)):
        found.add(known)
    return tuple(sorted(found)[:MOST]) if len(found) <= MOST else tuple(sorted(sorted(found, key=_rank)[:MOST]))


def canonical(ids: Collection[Identifier], own: str = "") -> str:
    """Return the one name of a vulnerability: its CVE if it has exactly one, else its lowest GHSA, else `own`, the source's id.

    Without a source's id, the name of the best known kind. Empty where there is no name at all.
    """
    known = _all(ids, own)
    cves = sorted(value for kind, value in known if kind == "CVE")
    if len(cves) == 1:
        return cves[0]
    ghsas = sorted(value for kind, value in known if kind == "GHSA")
    if ghsas:
        return ghsas[0]
    if own and (source := identifier(own)):
        return source[1]
    others = sorted((found for found in known if found[0] != "CVE"), key=_rank)
    return others[0][1] if others else ""


def alias_names(ids: Collection[Identifier], own: str = "") -> tuple[str, ...]:
    """Return the names by which the same vulnerability may be found from what other tools report; sorted, `canonical(ids, own)` among them.

    With one CVE or none, these are all names that stand for one vulnerability each. With more, it is the canonical name alone, and the
    source's own id unless that is a CVE or GHSA (which could each belong to one of the CVEs): a single name bridges nothing.
    """
    known = _all(ids, own)
    name = canonical(ids, own)
    names = {name} if name else set()
    if sum(kind == "CVE" for kind, _ in known) <= 1:
        names |= {value for kind, value in known if kind in _BRIDGES}
    elif own and (source := _known(own.strip())) and source[0] in _BRIDGES - {"CVE", "GHSA"}:
        names.add(source[1])
    return tuple(sorted(names))


def _all(ids: Collection[Identifier], own: str) -> set[Identifier]:
    known = {found for kind, value in ids if (found := identifier(value, kind))}
    if own and is_known(own) and (found := identifier(own)):
        known.add(found)
    return known


def _rank(found: Identifier) -> tuple[int, Identifier]:
    return _RANKS.get(found[0], len(_RANKS)), found
