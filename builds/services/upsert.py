"""Storing reported builds: once for each (project, source, build_id, attempt), however often and in whatever order they come."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from access.principals import of_user
from builds.models import Build
from builds.rows import BuildRow, Rejected, first_problem
from builds.services import table
from builds.services.announcing import Change, announce
from builds.services.merging import MERGED, merge, new_build
from builds.services.table import Key
from core.models import Owner
from integrations.models import Repository

ROWS_AT_ONCE = 1000
FOREIGN = "belongs to another owner, whose builds you can't report."
_COMPARED = (*MERGED, "repository_id", "owner_id")


@dataclass
class Stored:
    """What became of the rows that were given. Rows of one build in one call count once."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True)
class Scope:
    """In whose name builds are stored: `owner_id` gets those of unknown projects, only builds of `owners` are touched (None: all)."""

    owner_id: uuid.UUID | None = None
    owners: frozenset[uuid.UUID] | None = None

    def allows(self, owner_id: uuid.UUID | None) -> bool:
        """Say whether builds of this owner may be written."""
        return self.owners is None or owner_id in self.owners


def scope_of(owner_id: uuid.UUID | None) -> Scope:
    """Return what an owner may store: its own and, for a user, that of its teams; everything for admins and for no owner."""
    owner = Owner.objects.select_related("user").filter(id=owner_id).first() if owner_id else None
    if owner is None:
        return Scope(owner_id, None if owner_id is None else frozenset([owner_id]))
    who = of_user(owner.user) if owner.user else None
    if who is None:
        return Scope(owner.id, frozenset([owner.id]))
    return Scope(owner.id, None if who.is_admin else who.owner_ids | {owner.id})


def store_builds(rows: Sequence[BuildRow], scope: Scope, *, publish: bool = True) -> Stored:
    """Store reported builds; what is wrong or another owner's is rejected, and the others are stored all the same.

    A build of a known repository belongs to the repository's owner, another to the scope's. With `publish` the events that
    follow (build.started, completed, failed, recovered, flaky) are published in the same transaction, each once per cause; turn
    it off for builds of the past. Each thousand rows are a transaction with a constant number of statements.
    """
    stored = Stored()
    for start in range(0, len(rows), ROWS_AT_ONCE):
        with transaction.atomic():
            _Batch(scope, stored).store(list(enumerate(rows))[start : start + ROWS_AT_ONCE], publish)
    return stored


class _Batch:
    """Up to a thousand rows, in the caller's transaction."""

    def __init__(self, scope: Scope, stored: Stored) -> None:
        self._scope, self._stored = scope, stored

    def store(self, rows: Sequence[tuple[int, BuildRow]], publish: bool) -> None:
        """Store the rows, each with its place."""
        good = [(index, row) for index, row in rows if not self._rejects(index, first_problem(row))]
        repositories = _Repositories({row.project for _, row in good}, self._scope)
        good = [(index, row) for index, row in good if not self._rejects(index, self._foreign_project(row, repositories))]
        known = table.locked({row.key for _, row in good})
        good = [(index, row) for index, row in good if not self._rejects(index, self._foreign_build(row, repositories, known))]
        changes = self._write(self._merged([row for _, row in good], repositories, known), repositories, good)
        if publish:
            announce(changes)

    def _write(self, changes: list[Change], repositories: _Repositories, good: Sequence[tuple[int, BuildRow]]) -> list[Change]:
        """Write new and changed builds, and return them; a build that somebody stored at this moment is merged with theirs."""
        new = [change for change in changes if change.before is None]
        inserted = table.insert([change.build for change in new])
        missed = {_key(change.build) for change in new if change.build.id.hex not in inserted}
        if missed:
            again = [(index, row) for index, row in good if row.key in missed]
            known = table.locked(missed)
            again = [(index, row) for index, row in again if not self._rejects(index, self._foreign_build(row, repositories, known))]
            changes = [change for change in changes if _key(change.build) not in missed]
            changes += self._merged([row for _, row in again], repositories, known)
        changed = [change for change in changes if change.before is not None and _fingerprint(change.build) != change.before]
        table.update([change.build for change in changed])
        created = [change for change in changes if change.before is None]
        self._stored.created += len(created)
        self._stored.updated += len(changed)
        self._stored.unchanged += len(changes) - len(created) - len(changed)
        return [*created, *changed]

    def _merged(self, rows: Sequence[BuildRow], repositories: _Repositories, known: dict[Key, Build]) -> list[Change]:
        found: dict[Key, Change] = {}
        now = timezone.now()
        for row in rows:
            change = found.get(row.key)
            if change is not None:
                merge(change.build, row)
                continue
            build = known.get(row.key)
            change = Change(build or new_build(row), build.status if build else "", _fingerprint(build) if build else None)
            if build is not None:
                merge(build, row)
            self._give_owner(change, repositories)
            change.build.updated_at = now
            found[row.key] = change
        return list(found.values())

    def _give_owner(self, change: Change, repositories: _Repositories) -> None:
        build, repository = change.build, repositories.of(change.build.project, change.build.source)
        if repository is not None:
            build.repository_id, build.owner_id = repository.id, repository.owner_id
        elif change.before is None:
            build.owner_id = self._scope.owner_id

    def _foreign_project(self, row: BuildRow, repositories: _Repositories) -> tuple[str, str] | None:
        repository = repositories.of(row.project, row.source)
        return None if repository is None or self._scope.allows(repository.owner_id) else ("project", FOREIGN)

    def _foreign_build(self, row: BuildRow, repositories: _Repositories, known: dict[Key, Build]) -> tuple[str, str] | None:
        build = known.get(row.key)
        if build is None or self._scope.allows(build.owner_id):
            return None
        repository = repositories.of(row.project, row.source)
        # what was stored before its repository was known goes to its owner; what another's repository holds stays there
        mine = repository is not None and build.repository_id in (None, repository.id)
        return None if mine else ("build_id", FOREIGN)

    def _rejects(self, index: int, problem: tuple[str, str] | None) -> bool:
        if problem is not None:
            self._stored.rejected.append(Rejected(index, *problem))
        return problem is not None


class _Repositories:
    """The known repositories of some projects: one statement."""

    def __init__(self, projects: Collection[str], scope: Scope) -> None:
        self._scope = scope
        self._by_name: dict[str, list[Repository]] = {}
        rows: Iterator[Repository] = iter(Repository.objects.filter(full_name__in=projects).only("provider", "full_name", "owner_id"))
        for row in rows if projects else ():
            self._by_name.setdefault(row.full_name, []).append(row)

    def of(self, project: str, source: str) -> Repository | None:
        """Return the one at the provider that the source is, else the only one of that name that the scope allows, else another owner's."""
        found = self._by_name.get(project, [])
        same = [row for row in found if row.provider == source]
        # whoever registers the same name at another provider must not take the builds of this one from it
        mine = [row for row in found if self._scope.allows(row.owner_id)]
        chosen = same or (mine if len(mine) == 1 else [] if mine else found)
        return chosen[0] if chosen else None


def _key(build: Build) -> Key:
    return (build.project, build.source, build.build_id, build.attempt)


def _fingerprint(build: Build) -> tuple[object, ...]:
    return tuple(repr(getattr(build, name)) if name == "extra" else getattr(build, name) for name in _COMPARED)
