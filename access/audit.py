"""The audit trail: every change by admin, API or command, with who, what, from where and under which request.

Services call `record` in the transaction of their change, so that neither exists without the other. Secrets never get here:
`snapshot` replaces encrypted values by a mark, and `diff` says no more than that one changed.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from access import addresses
from access.choices import AuditVerb
from access.models import AuditEntry
from core import context
from core.fields import EncryptedTextField

Changes = Mapping[str, Any]
SET, CHANGED, UNSET = "(set)", "(changed)", ""
LONGEST_VALUE = 2000
_UNGIVEN = uuid.UUID(int=0)
# timestamps that follow from a change rather than being one
_DERIVED = frozenset({"created_at", "updated_at"})
_salt = secrets.token_bytes(16)


@dataclass(frozen=True)
class Hidden:
    """Stands for a secret in a snapshot: two of them are equal when the secrets are, and show nothing."""

    mark: int
    is_set: bool

    @classmethod
    def of(cls, value: Any) -> Hidden:
        """Return the stand-in of a secret."""
        return cls(hash((_salt, json.dumps(value, sort_keys=True, default=str))), bool(value))

    def __str__(self) -> str:
        return SET if self.is_set else UNSET


def record(
    verb: AuditVerb | str,
    obj: Model,
    *,
    changes: Changes | None = None,
    action: str = "",
    owner_id: uuid.UUID | None = _UNGIVEN,
) -> AuditEntry:
    """Write an entry about `obj`; `changes` maps a field to [old, new], `action` names what was done for `acted`.

    `owner_id` is the object's own where it is not given. The actor, address and request id are those of the context.
    """
    who = context.actor()
    owner = getattr(obj, "owner_id", None) if owner_id is _UNGIVEN else owner_id
    return AuditEntry.objects.create(
        actor_kind=who.kind,
        actor_id=who.id[:64],
        actor=who.label[:200],
        verb=verb,
        action=action[:60],
        object_type=(obj._meta.model_name or "")[:60],
        object_id=str(obj.pk)[:64],
        object_name=str(obj)[:200],
        changes={name: _shown(value) for name, value in (changes or {}).items()},
        request_id=context.request_id()[:64],
        address=addresses.current(),
        owner_id=owner,
    )


def snapshot(obj: Model) -> dict[str, Any]:
    """Return the comparable fields of a row, with encrypted ones replaced by stand-ins."""
    found: dict[str, Any] = {}
    for field in obj._meta.concrete_fields:
        if field.name in _DERIVED or field.primary_key:
            continue
        value = getattr(obj, field.attname)
        found[field.name] = Hidden.of(value) if isinstance(field, EncryptedTextField) else value
    return found


def diff(before: Mapping[str, Any], after: Mapping[str, Any], secret_fields: Iterable[str] = ()) -> dict[str, list[Any]]:
    """Return {field: [old, new]} of what differs; of `secret_fields` and encrypted ones only that they do."""
    hidden = frozenset(secret_fields)
    found: dict[str, list[Any]] = {}
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name in hidden or isinstance(old, Hidden) or isinstance(new, Hidden):
            found[name] = _hidden_change(old, new)
        else:
            found[name] = [old, new]
    return found


def _hidden_change(old: Any, new: Any) -> list[str]:
    was, now = _is_set(old), _is_set(new)
    return [SET if was else UNSET, (CHANGED if was else SET) if now else UNSET]


def _is_set(value: Any) -> bool:
    return value.is_set if isinstance(value, Hidden) else bool(value)


def _shown(value: Any) -> Any:
    """Return a JSON value for the trail; long ones are cut, so that an entry stays readable."""
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        text = json.dumps(value, default=str, sort_keys=True)
        return _cut(text) if len(text) > LONGEST_VALUE else {str(key): _shown(item) for key, item in value.items()}
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text)} characters)"
