"""Creating, changing and deleting inbound sources, and rotating their secrets. Each is one transaction, and audited."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core import runtime
from core.errors import Conflict, InvalidInput, NotFound
from core.fields import DecryptError
from integrations.contract.inbound import Receiver
from webhooks import secrets as signing
from webhooks.inbound.selectors import find_receiver, live_sources
from webhooks.inbound.source_values import SourceValues, checked, integration_for, receiver_of, secret_for
from webhooks.models import InboundSource


def create_source(values: SourceValues, *, secret: str | None = None) -> tuple[InboundSource, str | None]:
    """Create a source; return it and its secret (None for a provider without), which is shown now and never again.

    Without `secret` one is generated where the provider takes ours. Raises InvalidInput, and Conflict for a second default source.
    """
    missing = [field for field in ("name", "provider") if field not in values]
    if missing:
        raise InvalidInput(f"{', '.join(missing)}: must be given.", fields={field: ["must be given."] for field in missing})
    receiver = receiver_of(values["provider"])
    fields = checked({"config": {}} | dict(values), receiver)
    integration_for(fields.get("integration_id"), receiver.key, fields.get("owner_id"))
    secret = secret_for(receiver, secret, fields["config"])
    source = InboundSource(**fields, secrets=signing.initial(secret) if secret is not None else [])
    with transaction.atomic():
        _save(source, None)
        source.refresh_from_db(fields=["created_at"])
        audit.record(AuditVerb.CREATED, source, changes=audit.diff({}, fields))
    return source, secret


def update_source(source: InboundSource, values: SourceValues, *, secret: str | None = None) -> InboundSource:
    """Change what `values` holds. A `secret` other than the present one replaces it as rotate_secret() does.

    Provider and owner stay. Raises InvalidInput, and Conflict for a second default source or one that was deleted.
    """
    with transaction.atomic():
        row = _locked(source.pk)
        for name, label in (("provider", "provider"), ("owner_id", "owner")):
            if name in values and values[name] != getattr(row, name):  # type: ignore[literal-required]
                raise InvalidInput.of(label, f"can't be changed; create a source for the other {label}.")
        receiver = _receiver(row)
        fields = checked(values, receiver)
        if secret is None and "config" in fields:
            _check_kept_secret(receiver, row, fields["config"])
        if fields.get("integration_id", row.integration_id) != row.integration_id:
            integration_for(fields["integration_id"], row.provider, row.owner_id)
        changes = audit.diff({name: getattr(row, name) for name in fields}, fields)
        if changes:
            for name in changes:
                setattr(row, name, fields[name])
            _save(row, [*changes, "updated_at"])
            audit.record(AuditVerb.CHANGED, row, changes=changes)
        if secret is not None and [entry["secret"] for entry in _stored(row.pk)[:1]] != [secret]:
            rotate_secret(row, secret=secret)
    return row


def delete_source(source: InboundSource) -> None:
    """Hide a source: nothing is received any more. Housekeeping removes its receipts."""
    with transaction.atomic():
        now = timezone.now()
        gone = InboundSource.objects.filter(id=source.pk, deleted_at__isnull=True)
        # it must not keep its integration from being deleted
        if gone.update(deleted_at=now, updated_at=now, is_default=False, active=False, integration=None):
            audit.record(AuditVerb.DELETED, source)


def rotate_secret(source: InboundSource, overlap_hours: float | None = None, secret: str | None = None) -> str | None:
    """Give a source a new secret and return it; the old one verifies as well for `overlap_hours` (None: as the settings say).

    Raises InvalidInput. Old secrets that can't be decrypted are dropped.
    """
    receiver = _receiver(source)
    hours = float(runtime.current().secret_overlap_hours) if overlap_hours is None else signing.check_overlap(overlap_hours)
    if secret is None and not receiver.needs_secret:
        raise InvalidInput.of("secret", f"{receiver.title} needs none; give one to have it checked all the same.")
    with transaction.atomic():
        row = _locked(source.pk)
        new = secret_for(receiver, secret, row.config)
        assert new is not None  # noqa: S101 - given, or generated for a receiver that needs one
        stored = _stored(row.pk)
        if stored and stored[0]["secret"] == new:
            raise InvalidInput.of("secret", "is the current secret; give another.")
        now = timezone.now()
        InboundSource.objects.filter(id=row.pk).update(secrets=signing.rotated(stored, new, hours, now), updated_at=now)
        audit.record(AuditVerb.ACTED, row, action="rotate-secret", changes={"overlap_hours": [None, hours]})
    source.updated_at = now
    return new


def enable(source: InboundSource) -> InboundSource:
    """Receive again."""
    return update_source(source, {"active": True})


def disable(source: InboundSource) -> InboundSource:
    """Refuse everything until it is enabled."""
    return update_source(source, {"active": False})


def _receiver(source: InboundSource) -> type[Receiver]:
    try:
        return find_receiver(source.provider)
    except NotFound as error:  # of a release that knew the provider
        raise Conflict(f"Webhooks of {source.provider} are not received by this release.", code="unknown_provider") from error


def _check_kept_secret(receiver: type[Receiver], row: InboundSource, config: dict[str, Any]) -> None:
    """Refuse options under which the secret that is kept could verify nothing, such as GitLab's signing token without one."""
    current = [entry["secret"] for entry in _stored(row.pk)[:1]]
    for secret in current if config != row.config else []:
        problem = receiver.secret_problem(secret, config)
        if problem and not receiver.secret_problem(secret, row.config):
            raise InvalidInput.of("secret", f"the present one does not fit these options: it {problem} Give one that does along with them.")


def _locked(source_id: uuid.UUID) -> InboundSource:
    row = live_sources().select_for_update(no_key=True, of=("self",)).filter(id=source_id).first()
    if row is None:
        raise Conflict("This inbound source was deleted meanwhile.", code="source_deleted")
    return row


def _stored(source_id: uuid.UUID) -> list[dict[str, Any]]:
    try:
        return list(InboundSource.objects.values_list("secrets", flat=True).get(id=source_id))
    except DecryptError:
        return []


def _save(source: InboundSource, fields: list[str] | None) -> None:
    try:
        with transaction.atomic():
            source.save(force_insert=fields is None, update_fields=fields)
    except IntegrityError as error:
        if not source.is_default:
            raise
        sentence = f"another source is the default one of {source.provider}; take the mark from it first."
        raise Conflict(f"is_default: {sentence}", code="default_taken", fields={"is_default": [sentence]}) from error
