"""Creating, changing and deleting webhooks, and rotating their secrets."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core import bus, redact, runtime
from core.errors import Conflict, InvalidInput
from core.fields import DecryptError
from webhooks import secrets
from webhooks.choices import InactiveReason, WebhookStatus
from webhooks.destinations import memory
from webhooks.destinations.binding import integration_calls
from webhooks.engine.due import lock_states, recompute
from webhooks.events import about_webhook
from webhooks.models import Subscription, Webhook, WebhookRepository, WebhookState
from webhooks.services import rules, switch
from webhooks.services.values import WebhookValues, checked, stored_headers

_REQUIRED = ("name", "url", "events")


def create_webhook(values: WebhookValues, *, secret: str | None = None) -> tuple[Webhook, str]:
    """Create a webhook; return it and its secret, which is shown now and never again.

    Raises InvalidInput. Without `secret` one is generated.
    """
    missing = [field for field in _REQUIRED if field not in values and (field != "url" or values.get("integration") is None)]
    if missing:
        raise InvalidInput(f"{', '.join(missing)}: must be given.", fields={field: ["must be given."] for field in missing})
    fields: dict[str, Any] = dict(checked(values))
    secret = secrets.new_secret() if secret is None else secrets.check_secret(secret)
    repositories = fields.pop("repositories", [])
    fields |= rules.mirrored(fields)
    inactive = fields.get("status") == WebhookStatus.INACTIVE
    with transaction.atomic():
        webhook = Webhook.objects.create(
            **fields,
            secrets=secrets.initial(secret),
            inactive_reason=InactiveReason.BY_USER if inactive else InactiveReason.NONE,
            status_changed_at=timezone.now(),
        )
        webhook.refresh_from_db(fields=["created_at"])
        WebhookState.objects.create(webhook=webhook, enabled=not inactive, calls=_makes_calls(webhook))
        _subscribe(webhook, webhook.events)
        WebhookRepository.objects.bulk_create([WebhookRepository(webhook=webhook, repository=row) for row in repositories])
        audit.record(AuditVerb.CREATED, webhook, changes=_differences({}, fields), owner_id=webhook.owner_id)
        bus.publish("webhook.created", about_webhook(webhook), owner_id=webhook.owner_id)
    return webhook, secret


def update_webhook(webhook: Webhook, values: WebhookValues, *, secret: str | None = None) -> Webhook:
    """Change what `values` holds and nothing else; waiting deliveries go to the new URL, with the new headers and limits.

    A new priority holds for new deliveries. A `secret` other than the present one replaces it as rotate_secret() does. The
    owner stays. Raises InvalidInput, and Conflict when the webhook was deleted meanwhile.
    """
    with transaction.atomic():
        lock_states([webhook.id])
        webhook = _locked(webhook.id)
        if values.get("owner_id", webhook.owner_id) != webhook.owner_id:  # its log says whose it is, row by row
            raise InvalidInput.of("owner", "can't be changed; create a webhook for the other owner.")
        fields: dict[str, Any] = dict(checked(values, webhook))
        status = fields.pop("status", webhook.status)
        repositories = fields.pop("repositories", None)
        changes = _differences({name: stored_headers(webhook) if name == "headers" else getattr(webhook, name) for name in fields}, fields)
        if repositories is not None:
            changes |= _scope(webhook, {row.id for row in repositories})
        if changes:
            rules.let_go(webhook, fields)
            _save(webhook, {name: fields[name] for name in changes if name != "repositories"} | rules.mirrored(fields))
            if "events" in changes:
                Subscription.objects.filter(webhook=webhook).exclude(pattern__in=webhook.events).delete()
                _subscribe(webhook, webhook.events)
            if "integration" in changes:
                memory.forget(webhook.id)
                WebhookState.objects.filter(webhook_id=webhook.id).update(calls=_makes_calls(webhook))
            recompute([webhook.id])  # a higher cap or limit counts at once
            audit.record(AuditVerb.CHANGED, webhook, changes=changes, owner_id=webhook.owner_id)
            bus.publish("webhook.updated", about_webhook(webhook, changed=sorted(changes)), owner_id=webhook.owner_id)
            transaction.on_commit(bus.wake)
        if secret is not None and not _has_secret(webhook.id, secret):
            rotate_secret(webhook, secret=secret)
        if status != webhook.status:
            (switch.enable if status == WebhookStatus.ACTIVE else switch.disable)(webhook)
    return webhook


def delete_webhook(webhook: Webhook) -> None:
    """Hide a webhook and stop its deliveries; housekeeping removes its rows and its log."""
    with transaction.atomic():
        lock_states([webhook.id])
        gone = Webhook.objects.filter(id=webhook.id, deleted_at__isnull=True)
        if not gone.update(deleted_at=timezone.now(), integration=None, payload_template=None):  # it must not keep them from being deleted
            return
        WebhookState.objects.filter(webhook_id=webhook.id).update(enabled=False)
        rules.drop(webhook)
        recompute([webhook.id])
        audit.record(AuditVerb.DELETED, webhook, owner_id=webhook.owner_id)
        bus.publish("webhook.deleted", about_webhook(webhook), owner_id=webhook.owner_id)


def rotate_secret(webhook: Webhook, overlap_hours: float | None = None, secret: str | None = None) -> str:
    """Give a webhook a new secret (generated unless given) and return it; the old one signs as well for `overlap_hours`.

    None takes the overlap of the settings; 0 ends the old secret at once. Old secrets that can't be decrypted are dropped.
    Raises InvalidInput.
    """
    hours = float(runtime.current().secret_overlap_hours) if overlap_hours is None else secrets.check_overlap(overlap_hours)
    new = secrets.new_secret() if secret is None else secrets.check_secret(secret)
    with transaction.atomic():
        lock_states([webhook.id])
        stored = _stored_secrets(webhook.id)
        if stored and stored[0]["secret"] == new:
            raise InvalidInput.of("secret", "is the current secret; give another, or leave it out to have one generated.")
        now = timezone.now()
        Webhook.objects.filter(id=webhook.id).update(secrets=secrets.rotated(stored, new, hours, now), updated_at=now)
        audit.record(AuditVerb.ACTED, webhook, action="rotate-secret", changes={"overlap_hours": [None, hours]}, owner_id=webhook.owner_id)
        bus.publish("webhook.secret_rotated", about_webhook(webhook, overlap_hours=hours), owner_id=webhook.owner_id)
    webhook.updated_at = now
    return new


def _makes_calls(webhook: Webhook) -> bool:
    integration = webhook.integration
    return integration is not None and integration_calls(integration)


def _locked(webhook_id: uuid.UUID) -> Webhook:
    # not its key: a publisher's new deliveries hold that, and two webhooks that watch each other would wait for each other
    rows = Webhook.objects.select_for_update(no_key=True, of=("self",)).select_related("integration")
    rows = rows.defer("secrets", "headers", "integration__credentials", "integration__previous_credentials")
    webhook = rows.filter(id=webhook_id, deleted_at__isnull=True).first()
    if webhook is None:
        raise Conflict("This webhook was deleted meanwhile.")
    return webhook


def _stored_secrets(webhook_id: uuid.UUID) -> list[dict[str, Any]]:
    try:
        return list(Webhook.objects.values_list("secrets", flat=True).filter(deleted_at__isnull=True).get(id=webhook_id))
    except DecryptError:
        return []
    except Webhook.DoesNotExist:
        raise Conflict("This webhook was deleted meanwhile.") from None


def _has_secret(webhook_id: uuid.UUID, secret: str) -> bool:
    return any(entry["secret"] == secret for entry in _stored_secrets(webhook_id)[:1])


def _save(webhook: Webhook, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        setattr(webhook, name, value)
    webhook.save(update_fields=[*fields, "updated_at"])


def _subscribe(webhook: Webhook, patterns: list[str]) -> None:
    rows = [Subscription(webhook=webhook, pattern=pattern) for pattern in patterns]
    Subscription.objects.bulk_create(rows, ignore_conflicts=True)


def _scope(webhook: Webhook, wanted: set[uuid.UUID]) -> dict[str, list[Any]]:
    rows = WebhookRepository.objects.filter(webhook=webhook)
    before = set(rows.values_list("repository_id", flat=True))
    if before == wanted:
        return {}
    rows.exclude(repository_id__in=wanted).delete()
    added = [WebhookRepository(webhook=webhook, repository_id=repository_id) for repository_id in wanted - before]
    WebhookRepository.objects.bulk_create(added, ignore_conflicts=True)
    return {"repositories": [sorted(map(str, before)), sorted(map(str, wanted))]}


def _differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[Any]]:
    """Return what changes as the audit trail may keep it: URLs without credentials, of headers only that they changed."""
    # no filter is no filter, whether stored as null or as an empty object
    changes = audit.diff(
        {name: value or None for name, value in before.items()}, {name: value or None for name, value in after.items()}, ("headers",)
    )
    for name in ("integration", "payload_template"):
        if name in changes:
            changes[name] = [str(value.pk) if isinstance(value, Model) else None for value in changes[name]]
    if "url" in changes:
        changes["url"] = [redact.url(url) if url else None for url in changes["url"]]
    return changes
