"""Making, changing, rotating and revoking API keys."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from access import addresses, audit, bounds, keys, scopes
from access.choices import AuditVerb, KeyEnvironment
from access.models import ApiKey
from access.principals import SYSTEM, Principal
from access.roles import ensure_roles
from core.errors import Conflict, InvalidInput, NotAllowed

__all__ = ["KeyValues", "create_key", "ensure_initial_key", "ensure_roles", "revoke_key", "rotate_key", "update_key"]

DEFAULT_OVERLAP_HOURS = 24
MAX_OVERLAP_HOURS = 720
MAX_RATE = 1_000_000
_EDITABLE = ("name", "scopes", "rate_per_minute", "unlimited", "allowed_cidrs", "expires_at", "environment")


@dataclass(frozen=True)
class KeyValues:
    """What a key is made of; the defaults are a key for everything, without expiry, at the portal's rate."""

    name: str
    scopes: list[str] = field(default_factory=lambda: [scopes.ALL])
    owner_id: uuid.UUID | None = None
    environment: str = KeyEnvironment.LIVE
    rate_per_minute: int | None = None
    unlimited: bool = False
    allowed_cidrs: list[str] = field(default_factory=list)
    expires_at: dt.datetime | None = None


def create_key(values: KeyValues, who: Principal = SYSTEM) -> tuple[ApiKey, str]:
    """Create a key and return it with its text, which is shown now and never again.

    Made by a caller with a key, it has that key's limits where `values` name none (access.bounds). Raises InvalidInput for
    wrong values, and NotAllowed where `who` would give more than it has.
    """
    text = keys.new_key(values.environment)
    values = replace(values, **bounds.inherited(bounds.limits_of(values), who))
    return _insert(values, text, who), text


def update_key(key: ApiKey, changes: dict[str, Any], who: Principal = SYSTEM) -> ApiKey:
    """Change the given fields of a key. Raises as create_key does, and Conflict for a revoked key."""
    unknown = set(changes) - set(_EDITABLE)
    if unknown:
        raise InvalidInput(f"{', '.join(sorted(unknown))}: can't be changed.", fields={name: ["can't be changed."] for name in unknown})
    _refuse_revoked(key)
    changes = _checked(changes, who)
    with transaction.atomic():
        row = ApiKey.objects.select_for_update(of=("self",), no_key=True).get(id=key.id)
        bounds.refuse_wider_key(row, who, "change")
        bounds.refuse_widening(bounds.changed_limits(row, changes), who)
        before = audit.snapshot(row)
        for name, value in changes.items():
            setattr(row, name, value)
        changed = audit.diff(before, audit.snapshot(row))
        if changed:
            row.save(update_fields=[*changed, "updated_at"])
            audit.record(AuditVerb.CHANGED, row, changes=changed)
    for name in (*changes, "updated_at"):
        setattr(key, name, getattr(row, name))
    return key


def rotate_key(key: ApiKey, overlap_hours: float = DEFAULT_OVERLAP_HOURS, who: Principal = SYSTEM) -> tuple[ApiKey, str]:
    """Replace a key: return its successor and the successor's text; the old key works for `overlap_hours` more.

    Raises NotAllowed where the key can do more than `who`, Conflict when it was revoked, has expired or was rotated before.
    """
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        raise InvalidInput.of("overlap_hours", f"must be from 0 to {MAX_OVERLAP_HOURS}.")
    _refuse_wider(key.scopes, who, "rotate")
    with transaction.atomic():
        old = ApiKey.objects.select_for_update(of=("self",), no_key=True).get(id=key.id)
        now = timezone.now()
        _refuse_revoked(old)
        # the answer holds the successor's text: whoever rotates has all that the key has
        bounds.refuse_widening(bounds.limits_of(old), who)
        if old.successor_id is not None:
            raise Conflict("This key was rotated before; rotate its successor.")
        if old.expires_at is not None and old.expires_at <= now:
            raise Conflict("This key has expired; create a new one.")
        text = keys.new_key(old.environment)
        values = {name: getattr(old, name) for name in _EDITABLE}
        new = ApiKey.objects.create(**values, owner_id=old.owner_id, prefix=keys.prefix_of(text), key_hash=keys.hash_of(text))
        end = now + dt.timedelta(hours=overlap_hours)
        old.successor, old.expires_at = new, min(end, old.expires_at) if old.expires_at else end
        old.save(update_fields=["successor", "expires_at", "updated_at"])
        audit.record(AuditVerb.ACTED, old, action="rotate", changes={"successor": [None, new.prefix], "expires_at": [None, old.expires_at]})
    return _reloaded(new), text


def revoke_key(key: ApiKey, who: Principal = SYSTEM) -> None:
    """End a key at once; revoking it again changes nothing. Raises NotAllowed where the key has scopes that the key of `who` lacks."""
    bounds.refuse_wider_key(key, who, "revoke")
    with transaction.atomic():
        now = timezone.now()
        if ApiKey.objects.filter(id=key.id, revoked_at=None).update(revoked_at=now, updated_at=now):
            audit.record(AuditVerb.ACTED, key, action="revoke", changes={"revoked_at": [None, now]})


def ensure_initial_key() -> bool:
    """Create the admins' key from settings.INITIAL_API_KEY once; say whether it was created. Raises InvalidInput when it is unfit."""
    text = settings.INITIAL_API_KEY
    if not text:
        return False
    keys.check_given(text)
    known = ApiKey.objects.filter(prefix=keys.prefix_of(text)).first()
    if known is not None:
        if known.key_hash != keys.hash_of(text):
            raise InvalidInput.of("INITIAL_API_KEY", "starts like a key that exists already; use another one.")
        return False
    _insert(KeyValues(name="Initial key"), text, SYSTEM)
    return True


def _insert(values: KeyValues, text: str, who: Principal) -> ApiKey:
    checked = _checked({name: getattr(values, name) for name in _EDITABLE}, who)
    if values.owner_id is None and not who.is_admin:
        raise NotAllowed("owner: only an admin may create a key of the admins.")
    if values.owner_id is not None and not who.owns(values.owner_id):
        raise NotAllowed("owner: you may create keys for yourself and your teams only.")
    bounds.refuse_widening(checked, who)
    with transaction.atomic():
        key = ApiKey.objects.create(**checked, owner_id=values.owner_id, prefix=keys.prefix_of(text), key_hash=keys.hash_of(text))
        shown = {name: [None, value] for name, value in checked.items() if value not in (None, [], False)}
        audit.record(AuditVerb.CREATED, key, changes=shown)
    return _reloaded(key)


def _reloaded(key: ApiKey) -> ApiKey:
    return ApiKey.objects.select_related("owner__user", "owner__team").get(id=key.id)


def _checked(values: dict[str, Any], who: Principal) -> dict[str, Any]:
    checked = dict(values)
    if "name" in checked:
        checked["name"] = checked["name"].strip()
        if not 1 <= len(checked["name"]) <= 100:
            raise InvalidInput.of("name", "must have 1 to 100 characters.")
    if "scopes" in checked:
        checked["scopes"] = scopes.parse(checked["scopes"])
        _refuse_wider(checked["scopes"], who, "give")
    if "allowed_cidrs" in checked:
        checked["allowed_cidrs"] = addresses.parse_cidrs(checked["allowed_cidrs"])
    if "expires_at" in checked and checked["expires_at"] is not None and checked["expires_at"] <= timezone.now():
        raise InvalidInput.of("expires_at", "lies in the past; revoke the key to end it now.")
    if "environment" in checked and checked["environment"] not in KeyEnvironment.values:
        raise InvalidInput.of("environment", f"must be one of {', '.join(KeyEnvironment.values)}.")
    _check_rate(checked, who)
    return checked


def _check_rate(values: dict[str, Any], who: Principal) -> None:
    rate = values.get("rate_per_minute")
    if rate is not None and not 1 <= rate <= MAX_RATE:
        raise InvalidInput.of("rate_per_minute", f"must be from 1 to {MAX_RATE}, or null for the portal's default.")
    if who.is_admin:
        return
    if values.get("unlimited"):
        raise NotAllowed("unlimited: only an admin may lift the rate limit.")
    if rate is not None and rate > settings.API_KEY_RATE:
        raise NotAllowed(f"rate_per_minute: only an admin may go beyond the portal's {settings.API_KEY_RATE}.")


def _refuse_wider(stored: list[str], who: Principal, verb: str) -> None:
    missing = sorted(scopes.granted(stored) - who.scopes)
    if missing:
        raise NotAllowed(f"scopes: you can't {verb} scopes that you don't have: {', '.join(missing)}.")


def _refuse_revoked(key: ApiKey) -> None:
    if key.revoked_at is not None:
        raise Conflict("This key was revoked; create a new one.")
