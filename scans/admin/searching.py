"""What is typed above the lists: words that each narrow, found in full, by what an index serves."""

from __future__ import annotations

import uuid

from django.db.models import Q, QuerySet

from access.principals import Principal
from core.ids import is_uuid
from integrations.models import Repository
from integrations.selectors.repositories import repositories_by_reference
from scans.models import Finding, FindingIdentifier, Scan
from scans.normal.identifiers import identifier

_SHORTEST_COMMIT = 7
_COMMIT = frozenset("0123456789abcdef")
_MOST_WORDS = 4


class NotFoundWord(Exception):
    """A word that names nothing here; its text says so to people."""


def found_scans(rows: QuerySet[Scan], term: str, who: Principal) -> QuerySet[Scan]:
    """Return the scans of a repository, perhaps of one commit of it, or the one of an id. Raises NotFoundWord."""
    words = _words(term)
    if len(words) == 1 and is_uuid(words[0]):
        return rows.filter(id=uuid.UUID(words[0]))
    repositories, others = _repositories(words, who)
    for word in others:
        if not repositories:
            raise NotFoundWord(f"“{word[:60]}” is no repository that is known here, such as acme/shop, and no id of a scan.")
        if len(word) < _SHORTEST_COMMIT or not set(word.lower()) <= _COMMIT:
            raise NotFoundWord(f"“{word[:60]}” is no commit; write its SHA in full.")
        rows = rows.filter(commit=word.lower())
    return rows.filter(repository_id__in=repositories)


def found_findings(rows: QuerySet[Finding], term: str, who: Principal, seen: QuerySet[Finding]) -> QuerySet[Finding]:
    """Return the findings that all words name: repository, package, vulnerability; with a repository, rules too. Raises NotFoundWord.

    `seen` are all that the caller sees: whether a name is known is asked of them, so that nobody learns what others have.
    """
    words = _words(term)
    repositories, others = _repositories(words, who)
    if repositories:
        rows = rows.filter(repository_id__in=repositories)
    for word in others:
        rows = rows.filter(_named(word, seen, within_repository=bool(repositories)))
    return rows


def named_repositories(term: str, who: Principal) -> list[Repository]:
    """Return the repositories that are named among the words."""
    words = [word for word in term.split()[:_MOST_WORDS] if "/" in word]
    return [row for rows in repositories_by_reference(words, who).values() for row in rows] if words else []


def _words(term: str) -> list[str]:
    found = term.split()
    if len(found) > _MOST_WORDS:  # each asks the database; leaving some out would show what was not asked for
        raise NotFoundWord(f"That is {len(found)} names; write at most {_MOST_WORDS}, each in full.")
    return found


def _repositories(words: list[str], who: Principal) -> tuple[list[uuid.UUID], list[str]]:
    """Return the ids of the repositories that are named, and the other words: packages have slashes too."""
    known = repositories_by_reference([word for word in words if "/" in word], who)
    named = {word: [row.id for row in rows] for word, rows in known.items() if rows}
    return [id for ids in named.values() for id in ids], [word for word in words if word not in named]


def _named(word: str, seen: QuerySet[Finding], *, within_repository: bool) -> Q:
    # one index each, and never an OR over two: which kind of name it is, is asked first
    if is_uuid(word):
        return Q(id=uuid.UUID(word))
    known = identifier(word)
    identified = Q(id__in=FindingIdentifier.objects.filter(value=known[1] if known else word).values("finding_id"))
    if seen.filter(identified).exists():
        return identified
    if within_repository:  # its index has cut the rows down
        return Q(package=word) | Q(rule=word)
    if seen.filter(package=word).exists():
        return Q(package=word)
    raise NotFoundWord(
        f"“{word[:60]}” names no repository, package, vulnerability or finding here. Names are found in full; for a rule, write the "
        "repository before it: acme/shop sql-injection."
    )
