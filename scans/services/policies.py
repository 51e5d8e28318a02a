"""Making and changing policies."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from access import audit
from access.choices import AuditVerb
from core.errors import Conflict, InvalidInput
from integrations.models import Repository
from scans.gates.conditions import load, parse, parse_sla
from scans.models import Policy

MAX_NAME = 100


def create_policy(name: str, conditions: Any, repository: Repository | None, sla_days: Any = None) -> Policy:
    """Make the policy of a repository, or the default one of all others. Raises InvalidInput, and Conflict for a second one."""
    parsed = parse(conditions)
    days = parse_sla({} if sla_days is None else sla_days, parsed)
    policy = Policy(name=_name(name), conditions=[one.stored() for one in parsed], repository=repository, sla_days=days)
    with transaction.atomic():
        try:
            with transaction.atomic():
                policy.save(force_insert=True)
        except IntegrityError as error:
            whose = f"{repository.full_name} has a policy" if repository else "there is a default policy"
            raise Conflict(f"repository: {whose} already; change that one.", code="already_exists") from error
        audit.record(AuditVerb.CREATED, policy, owner_id=repository.owner_id if repository else None)
    return policy


def update_policy(policy: Policy, *, name: str | None = None, conditions: Any = None, sla_days: Any = None) -> Policy:
    """Change a policy; decisions made before stay as they are. Raises InvalidInput and Conflict."""
    with transaction.atomic():
        row = Policy.objects.select_for_update(of=("self",)).select_related("repository").filter(id=policy.id).first()
        if row is None:
            raise Conflict("This policy was deleted meanwhile.")
        before = {"name": row.name, "conditions": row.conditions, "sla_days": row.sla_days}
        row.name = row.name if name is None else _name(name)
        parsed = load(row.conditions) if conditions is None else parse(conditions)
        row.conditions = row.conditions if conditions is None else [one.stored() for one in parsed]
        row.sla_days = parse_sla(row.sla_days if sla_days is None else sla_days, parsed)
        changes = audit.diff(before, {"name": row.name, "conditions": row.conditions, "sla_days": row.sla_days})
        if changes:
            row.version += 1
            row.save(update_fields=["name", "conditions", "sla_days", "version", "updated_at"])
            audit.record(AuditVerb.CHANGED, row, changes=changes, owner_id=_owner(row))
    return row


def delete_policy(policy: Policy) -> None:
    """Remove a policy: the default one holds then, and without one the built-in."""
    with transaction.atomic():
        audit.record(AuditVerb.DELETED, policy, owner_id=_owner(policy))
        Policy.objects.filter(id=policy.id).delete()


def _owner(policy: Policy) -> Any:
    return policy.repository.owner_id if policy.repository else None


def _name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidInput.of("name", f"must be a text of 1 to {MAX_NAME} printable characters.")
    return name
