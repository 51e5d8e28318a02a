"""Registering, changing and removing repositories."""

from __future__ import annotations

import re
import uuid
from typing import Any, TypedDict

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from access import audit
from access.choices import AuditVerb
from access.principals import SYSTEM, Principal
from access.selectors import visible
from core import runtime
from core.errors import Conflict, InvalidInput, NotAllowed
from integrations.choices import Provider
from integrations.models import Integration, Repository, RepositorySource

# owner/name, or group/subgroup/name; providers differ in the rest, so anything printable but a space or a slash is taken
_FULL_NAME = re.compile(r"[^\s/\\]+(/[^\s/\\]+)+")
_BRANCH = re.compile(r"[^\s\\~^:?*\[]+")
MAX_NAME = 255


class RepositoryValues(TypedDict, total=False):
    """What a caller may set; a key that is absent keeps the value (or takes the default)."""

    provider: str
    full_name: str
    default_branch: str
    active: bool
    owner_id: uuid.UUID | None


def may_register(who: Principal) -> bool:
    """Say whether a caller may register repositories, rename them and give them away, where its role and scopes let it."""
    return who.is_admin or runtime.current().teams_register_repositories


def how_to_register(who: Principal) -> str:
    """Return what a refusal of an unknown repository tells the caller to do."""
    return "POST /api/v1/repositories registers it" if may_register(who) else "ask an admin to register it for your team"


def create_repository(values: RepositoryValues, who: Principal = SYSTEM) -> Repository:
    """Register a repository. Raises InvalidInput, Conflict when it is registered already, and NotAllowed where only admins may."""
    if not may_register(who):
        raise NotAllowed("Only admins register repositories here. Ask one to register it, and to make your team its owner.")
    missing = [field for field in ("provider", "full_name") if field not in values]
    if missing:
        raise InvalidInput(f"{', '.join(missing)}: must be given.", fields={field: ["must be given."] for field in missing})
    _check(values)
    repository = Repository(**values)
    with transaction.atomic():
        _save(repository, insert=True)
        repository.refresh_from_db(fields=["created_at"])
        audit.record(AuditVerb.CREATED, repository, changes=audit.diff({}, dict(values)))
    return repository


def update_repository(repository: Repository, values: RepositoryValues, who: Principal = SYSTEM) -> Repository:
    """Change what `values` holds. Events that were published keep their owner.

    Raises InvalidInput, Conflict, and NotAllowed where only admins rename and give away, or the new name would have somebody else's
    integration read another repository.
    """
    _check(values)
    with transaction.atomic():
        row = Repository.objects.select_for_update(no_key=True).filter(id=repository.id).first()
        if row is None:
            raise Conflict("This repository was deleted meanwhile.")
        changes = audit.diff({name: getattr(row, name) for name in values}, dict(values))
        if changes:
            if "owner_id" in changes and not may_register(who):
                raise NotAllowed("owner: only admins give repositories to another owner here. Ask one.")
            if {"provider", "full_name"} & changes.keys():
                if not may_register(who):
                    raise NotAllowed("full_name: only admins rename repositories here. Ask one.")
                _refuse_leading_elsewhere(row, who)
            for name in changes:
                setattr(row, name, values[name])  # type: ignore[literal-required]
            _save(row, fields=[*changes, "updated_at"])
            audit.record(AuditVerb.CHANGED, row, changes=changes)
    return row


def _refuse_leading_elsewhere(repository: Repository, who: Principal) -> None:
    """Raise NotAllowed where an integration that the caller can't see scans it: its credentials may reach what the caller must not."""
    seen = visible(Integration.objects.all(), who).values("id")
    if RepositorySource.objects.filter(repository=repository).exclude(integration__in=seen).exists():
        raise NotAllowed(
            "full_name: somebody else's integration scans this repository, and would read another one then; ask an admin to rename it,"
            " or register the other one."
        )


def delete_repository(repository: Repository) -> None:
    """Remove a repository. Raises Conflict while webhooks are limited to it: without it they would receive everything."""
    with transaction.atomic():
        audit.record(AuditVerb.DELETED, repository)
        try:
            Repository.objects.filter(id=repository.id).delete()
        except ProtectedError as error:
            kinds = ", ".join(sorted({str(row._meta.verbose_name) for row in error.protected_objects}))
            raise Conflict(f"This repository is still used ({kinds}); change or delete that first.", code="in_use") from error


def _check(values: RepositoryValues) -> None:
    errors: dict[str, list[str]] = {}
    provider, name, branch = values.get("provider"), values.get("full_name"), values.get("default_branch")
    if "provider" in values and provider not in Provider.values:
        errors["provider"] = [f"must be one of {', '.join(Provider.values)}."]
    if "full_name" in values and not _is_text(name, _FULL_NAME):
        errors["full_name"] = [f"must be owner/name, as the provider spells it, at most {MAX_NAME} characters."]
    if "default_branch" in values and not _is_text(branch, _BRANCH):
        errors["default_branch"] = [f"must be a branch name of at most {MAX_NAME} characters."]
    if errors:
        raise InvalidInput(" ".join(f"{field}: {sentences[0]}" for field, sentences in errors.items()), fields=errors)


def _is_text(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME and value.isprintable() and bool(pattern.fullmatch(value))


def _save(repository: Repository, *, insert: bool = False, fields: list[str] | None = None) -> None:
    try:
        with transaction.atomic():
            repository.save(force_insert=insert, update_fields=fields)
    except IntegrityError as error:
        sentence = "is registered for this provider already."
        raise Conflict(f"full_name: {sentence}", code="already_exists", fields={"full_name": [sentence]}) from error
