"""What the gate answers of a commit or of the default branch. It passes what is known to be good; all else is a no, or a not yet."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet

from core.errors import NotFound, Unavailable
from integrations.models import Repository
from scans import commits
from scans.choices import ENDED, GateDecision, ScanStatus
from scans.models import GateResult, Scan

RETRY_SECONDS = 5.0
_MOST_SCANS = 1000
_SEEN = ("id", "status", "integration_id", "format", "category")


@dataclass(frozen=True)
class Answer:
    """What is known of a commit: what was decided, and scans that went wrong."""

    result: GateResult | None
    failed: Scan | None
    """A scan that failed, where no later one took its place: what it would have found is not known."""
    incomplete: bool
    """Parts of a report could not be used: it was decided on the rest."""

    @property
    def passed(self) -> bool:
        """Say whether the commit may go on."""
        return self.failed is None and self.result is not None and self.result.decision == GateDecision.PASSED


def of_commit(repository: Repository, commit: str, ref: str = "") -> Answer:
    """Return what is known of a commit, on all refs or one. Raises Unavailable while its scans go on or are waited for, else NotFound."""
    scans = Scan.objects.filter(repository=repository, commit=commit)
    if scans.exclude(status__in=ENDED).exists():
        raise Unavailable("A scan of this commit is going on; ask again shortly.", code="scan_running", retry_after=RETRY_SECONDS)
    results = GateResult.objects.filter(repository=repository, commit=commit)
    if ref:
        scans, results = scans.filter(ref=ref), results.filter(ref=ref)
    answer = Answer(_latest(results), *_troubles(scans))
    if answer.result is None and answer.failed is None:
        if commits.is_known(repository.id, commit):
            sentence = "No scanner has said anything about this commit yet, though it was pushed; ask again shortly."
            raise Unavailable(sentence, code="scan_awaited", retry_after=RETRY_SECONDS)
        where = f" on {ref[:100]}" if ref else ""
        sentence = f"No scan of commit {commit[:64]}{where} is known for {repository.full_name}; name it in full, as its scan was uploaded."
        raise NotFound(sentence, code="unknown_commit")
    return answer


def of_branch(repository: Repository) -> Answer:
    """Return what was decided of the default branch last, and whether a scan since then went wrong. Raises NotFound where nothing was."""
    branch = repository.default_branch
    scans = Scan.objects.filter(repository=repository, ref=branch)
    result = GateResult.objects.filter(repository=repository, ref=branch).order_by("-id").first()
    if result is None:
        failed = scans.filter(status=ScanStatus.FAILED).order_by("-id").first()
        if failed is None:
            sentence = f"No scan of {repository.full_name}'s branch {branch} has ended yet."
            raise NotFound(sentence, code="no_gate")
        return Answer(None, failed, incomplete=False)
    # each by an index of its own: of all scans of the branch only these
    same = scans.filter(commit=result.commit) if result.commit else scans.filter(id=result.scan_id)
    return Answer(result, *_troubles(same, scans.filter(id__gt=result.scan_id)))


def _latest(results: QuerySet[GateResult]) -> GateResult | None:
    """Return what was decided last on each ref: a no, where one of them says no."""
    later = results.filter(ref=OuterRef("ref"), id__gt=OuterRef("id"))
    return results.filter(~Exists(later)).order_by("decision", "-id").first()  # "failed" comes before "passed"


def _troubles(*some: QuerySet[Scan]) -> tuple[Scan | None, bool]:
    """Return a scan that failed, and whether one was read in part; the latest of each kind of report counts."""
    latest: dict[tuple[object, ...], tuple[uuid.UUID, str]] = {}
    rows = [row for scans in some for row in scans.order_by("-id").values_list(*_SEEN)[:_MOST_SCANS]]
    for id, status, *kind in sorted(rows, key=lambda row: row[0], reverse=True):
        latest.setdefault(tuple(kind), (id, status))
    failed = [id for id, status in latest.values() if status == ScanStatus.FAILED]
    partial = any(status == ScanStatus.PARTIAL for _, status in latest.values())
    return (Scan.objects.filter(id=max(failed)).first() if failed else None), partial
