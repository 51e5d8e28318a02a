"""What a report is about: the findings of a repository on one ref, perhaps narrowed."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import BooleanField, Case, Exists, OuterRef, Q, QuerySet, TextChoices, Value, When
from django.utils import timezone

from core.errors import InvalidInput
from core.ids import first_id_at
from integrations.models import Repository
from scans.choices import TRIAGES, UNDECIDED, FindingState, Kind, Severity, Triage
from scans.models import Finding, Presence
from scans.refs import checked_ref
from scans.severities import rank

PERIOD_DAYS = 30
PARAMETERS = ("ref", "state", "min_severity", "kind", "triage", "suppressed", "since")


class Shown(TextChoices):
    """Which findings of the ref a report lists."""

    OPEN = "open", "there now"
    FIXED = "fixed", "fixed since"
    ALL = "all", "there now, and fixed since"


@dataclass(frozen=True)
class Scope:
    """Empty narrows nothing. `since` is the beginning of the period that new and fixed ones are counted in."""

    repository: Repository
    ref: str
    state: str = Shown.OPEN.value
    min_severity: str = ""
    kind: str = ""
    triage: str = ""
    suppressed: bool | None = None
    since: datetime = field(default_factory=lambda: timezone.now() - timedelta(days=PERIOD_DAYS))

    @property
    def is_default(self) -> bool:
        """Say whether it is about the default branch."""
        return self.ref == self.repository.default_branch

    def narrowed(self) -> list[str]:
        """Return in words what narrows the list of findings."""
        words = [f"severity {self.min_severity} or worse"] if self.min_severity else []
        words += [str(Kind(self.kind).label)] if self.kind else []
        words += [str(dict(TRIAGES)[self.triage])] if self.triage else []
        words += ["suppressed by their scanners" if self.suppressed else "not suppressed"] if self.suppressed is not None else []
        return words


def parse(repository: Repository, given: Mapping[str, str]) -> Scope:
    """Return the scope that query parameters name; raises InvalidInput naming each one that is wrong."""
    checked = _Checked(given)
    since = checked.day("since")
    scope = Scope(
        repository=repository,
        ref=checked.ref() or repository.default_branch,
        state=checked.choice("state", Shown.values) or Shown.OPEN.value,
        min_severity=checked.choice("min_severity", Severity.values),
        kind=checked.choice("kind", Kind.values),
        triage=checked.choice("triage", [value for value, _ in TRIAGES]),
        suppressed={"true": True, "false": False}.get(checked.choice("suppressed", ["true", "false"])),
    )
    checked.done()
    return replace(scope, since=datetime.combine(since, time(), UTC)) if since else scope


class _Checked:
    """Reads parameters, and collects what is wrong with them."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self._wrong: dict[str, list[str]] = {}

    def choice(self, name: str, choices: list[str]) -> str:
        value = self._given.get(name, "")
        if value and value not in choices:
            self._wrong[name] = [f"must be one of {', '.join(choices)}."]
            return ""
        return value

    def ref(self) -> str:
        try:
            return checked_ref(self._given.get("ref", ""))
        except InvalidInput as error:
            self._wrong |= error.fields
            return ""

    def day(self, name: str) -> date | None:
        value = self._given.get(name, "")
        try:
            return date.fromisoformat(value) if value else None
        except ValueError:
            self._wrong[name] = ["must be a day, such as 2026-11-20."]
            return None

    def done(self) -> None:
        if self._wrong:
            said = " ".join(f"{name}: {sentences[0]}" for name, sentences in self._wrong.items())
            raise InvalidInput(said, fields=self._wrong)


def on_the_ref(scope: Scope) -> QuerySet[Finding]:
    """Return the repository's findings; `here` says that it is there on the ref, `mended` that it was fixed on it in the period."""
    known = Finding.objects.filter(repository=scope.repository).exclude(state=FindingState.STAGED)
    if scope.is_default:
        mended = Q(state=FindingState.FIXED, fixed_at__gte=scope.since)
        return known.annotate(here=_flag(Q(state=FindingState.OPEN)), mended=_flag(mended))
    mine = Presence.objects.filter(finding_id=OuterRef("id"), stream__ref=scope.ref)
    there = Exists(mine.filter(closed_scan_id__isnull=True))
    gone = Exists(mine.filter(closed_scan_id__gte=first_id_at(scope.since)))
    return known.annotate(here=there, mended=_flag(Q(gone) & ~Q(there)))


def listed(scope: Scope) -> QuerySet[Finding]:
    """Return the findings that the report lists, in no order."""
    shown = {Shown.OPEN: Q(here=True), Shown.FIXED: Q(mended=True), Shown.ALL: Q(here=True) | Q(mended=True)}[Shown(scope.state)]
    return on_the_ref(scope).filter(shown).filter(narrowing(scope))


def possible(scope: Scope) -> QuerySet[Finding]:
    """Return the findings among which those are that the report lists: what the columns of a finding say.

    Which of them are on a ref that is not the default branch is asked of a batch, by `shown_of`: asked of all at once, in an order,
    the database would look through every presence for each batch.
    """
    found = Finding.objects.filter(narrowing(scope), repository=scope.repository).exclude(state=FindingState.STAGED)
    if not scope.is_default:
        return found
    there, mended = Q(state=FindingState.OPEN), Q(state=FindingState.FIXED, fixed_at__gte=scope.since)
    return found.filter({Shown.OPEN: there, Shown.FIXED: mended, Shown.ALL: there | mended}[Shown(scope.state)])


def shown_of(scope: Scope, findings: Collection[Finding]) -> dict[uuid.UUID, bool]:
    """Return those of a batch of `possible` that the report lists, with whether they are there: at most one statement."""
    if scope.is_default:
        return {one.id: one.state == FindingState.OPEN for one in findings}
    since = first_id_at(scope.since)
    mine = Presence.objects.filter(Q(closed_scan_id__isnull=True) | Q(closed_scan_id__gte=since), stream__ref=scope.ref)
    rows = mine.filter(finding_id__in=[one.id for one in findings]).values_list("finding_id", "closed_scan_id")
    found: dict[uuid.UUID, bool] = {}
    for id, closed in rows:
        found[id] = found.get(id, False) or closed is None
    wanted = {Shown.OPEN: (True,), Shown.FIXED: (False,), Shown.ALL: (True, False)}[Shown(scope.state)]
    return {id: here for id, here in found.items() if here in wanted}


def narrowing(scope: Scope, path: str = "") -> Q:
    """Return what the list is narrowed to; `path` leads to the finding from other rows."""
    found = Q()
    if scope.min_severity:
        found &= Q(**{f"{path}severity_rank__gte": rank(scope.min_severity)})
    if scope.kind:
        found &= Q(**{f"{path}kind": scope.kind})
    if scope.triage:
        found &= Q(**{f"{path}triage": Triage.NONE if scope.triage == UNDECIDED else scope.triage})
    if scope.suppressed is not None:
        found &= Q(**{f"{path}suppressed": scope.suppressed})
    return found


def _flag(condition: Q) -> Case:
    return Case(When(condition, then=Value(True)), default=Value(False), output_field=BooleanField())
