"""Starting imports from GitHub, and taking them up again."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from access.principals import Principal
from access.selectors import visible
from builds.choices import ImportKind, ImportStatus
from builds.importing.progress import unfinished
from builds.importing.work import KIND_NAME
from builds.models import BuildImport
from builds.selectors import shown_status
from core import context, work_registry
from core.errors import Conflict, InvalidInput
from core.models.work import WorkState
from integrations.choices import Status
from integrations.connectors.github.connector import GitHub
from integrations.models import Integration

_MOST_ATTEMPTS = 10
_PROJECT = re.compile(r"[A-Za-z0-9_-]{1,100}/[A-Za-z0-9._-]{1,100}")
_ADDRESS = re.compile(r"https?://[^/\s]+/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]|[\ud800-\udfff]")
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ImportValues:
    """What is imported: the runs of `project` that were created in [since, until), of a branch and a workflow; empty is all."""

    project: str
    integration_id: uuid.UUID | None = None
    branch: str = ""
    workflow: str = ""
    since: datetime | None = None
    until: datetime | None = None


def start_github_import(values: ImportValues, who: Principal) -> BuildImport:
    """Start an import for the caller; workers go on with it.

    Raises InvalidInput that names every wrong field, and Conflict (import_running) while the same one goes on.
    """
    project = _ADDRESS.sub("", values.project.strip()).removesuffix(".git").strip("/")
    integration = _integration(values.integration_id, who)
    _check(values, project)
    until = min(values.until or timezone.now(), timezone.now())
    owner_id = who.default_owner_id
    with transaction.atomic():
        same = {"project": project, "branch": values.branch, "workflow": values.workflow, "owner_id": owner_id}
        if BuildImport.objects.filter(unfinished(), kind=ImportKind.GITHUB, **same).exists():
            raise Conflict(f"An import of {project} is going on already. Wait until it is done, or cancel it.", code="import_running")
        row = BuildImport.objects.create(
            kind=ImportKind.GITHUB, integration=integration, since=values.since, until=until, max_attempts=_MOST_ATTEMPTS,
            progress={"signed": integration is not None}, started_by=context.actor().label[:200], **same,
        )  # fmt: skip
        said = {**same, "integration": integration and integration.name, "since": values.since, "until": until}
        del said["owner_id"]
        audit.record(AuditVerb.CREATED, row, changes={name: [None, value] for name, value in said.items() if value}, owner_id=owner_id)
        work_registry.wake(KIND_NAME)
    return row


def resume_import(row: BuildImport) -> BuildImport:
    """Take a failed import up again where it stopped. Raises Conflict unless it has failed."""
    with transaction.atomic():
        current = BuildImport.objects.select_for_update().get(pk=row.pk)
        if (status := shown_status(current)) != ImportStatus.FAILED:
            raise Conflict(f"This import is {ImportStatus(status).label}: it can't be taken up again.", code=f"import_{status}")
        now = timezone.now()
        BuildImport.objects.filter(pk=row.pk).update(
            status=ImportStatus.RUNNING, state=WorkState.QUEUED, attempts=0, run_after=now, finished_at=None, error="", updated_at=now
        )
        audit.record(AuditVerb.ACTED, current, action="resume", owner_id=current.owner_id)
        work_registry.wake(KIND_NAME)
    return BuildImport.objects.get(pk=row.pk)


def offered_integrations(who: Principal) -> list[Integration]:
    """Return the active integrations with GitHub that the caller sees, by name, without their credentials."""
    return list(visible(_known().filter(status=Status.ACTIVE), who).order_by("name", "id"))


def _known() -> QuerySet[Integration]:
    return Integration.objects.filter(type=GitHub.key).defer("credentials", "previous_credentials")


def _integration(integration_id: uuid.UUID | None, who: Principal) -> Integration | None:
    if integration_id is None:
        return None
    found = visible(_known(), who).filter(id=integration_id).first()
    if found is None:
        sentence = f"{integration_id} is not an integration with GitHub that you can see; GET /api/v1/integrations lists them."
        raise InvalidInput.of("integration", sentence)
    if found.status != Status.ACTIVE:
        raise InvalidInput.of("integration", f"{found.name} is inactive; activate it first.", code="inactive")
    return found


def _check(values: ImportValues, project: str) -> None:
    errors: dict[str, list[str]] = {}
    if not _PROJECT.fullmatch(project) or project.partition("/")[2] in (".", ".."):
        errors["project"] = ["must be owner/name, as in the repository's address, such as acme/shop."]
    for name in ("branch", "workflow"):
        if len(text := getattr(values, name)) > 255 or _CONTROL.search(text):
            errors[name] = ["must be at most 255 characters without control characters."]
    now = timezone.now()
    if values.since is not None and not _EARLIEST <= values.since < min(values.until or now, now):
        errors["since"] = ["must lie in the past, after the year 1999, and before until."]
    elif values.until is not None and values.until < _EARLIEST:
        errors["until"] = ["must lie after the year 1999."]
    if errors:
        raise InvalidInput("; ".join(f"{name}: {sentences[0]}" for name, sentences in errors.items()), fields=errors)
