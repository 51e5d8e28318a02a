from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from access.models import AuditEntry
from core.errors import Conflict, InvalidInput
from core.http.custom_headers import MASK
from core.models import Event
from tests.factories import RepositoryFactory, WebhookFactory, owner_of
from webhooks.choices import BreakerState, HoldReason, InactiveReason, Lane, WebhookStatus
from webhooks.models import DueHint, Subscription, Webhook, WebhookDelivery, WebhookRepository, WebhookState
from webhooks.secrets import check_secret, new_secret, signing_secrets
from webhooks.services import WebhookValues, create_webhook, delete_webhook, disable, enable, rotate_secret, update_webhook

pytestmark = pytest.mark.django_db
MINIMAL: WebhookValues = {"name": "hook", "url": "https://example.com/hook", "events": ["finding.opened", "scan.*"]}


def patterns(hook: Webhook) -> set[str]:
    return set(Subscription.objects.filter(webhook=hook).values_list("pattern", flat=True))


def told(name: str) -> list[Any]:
    return list(Event.objects.filter(type=name).order_by("id").values_list("payload", flat=True))


# --- create -----------------------------------------------------------------------------------------------------------


def test_it_creates_all_the_rows_of_a_webhook(alice: User) -> None:
    shop = RepositoryFactory()
    values: WebhookValues = {
        **MINIMAL,
        "owner_id": owner_of(alice).id,
        "filter": {"severity": "high"},
        "headers": {"Authorization": "Bearer sesame"},
        "retry_config": {"schedule": [1, 2]},
        "rate_limit": 5,
        "concurrency": 3,
        "priority": Lane.HIGH,
        "repositories": [shop, shop],
    }
    hook, secret = create_webhook(values)
    stored = Webhook.objects.get()
    assert stored.id == hook.id
    assert signing_secrets(stored.secrets, timezone.now()) == [check_secret(secret)]
    assert stored.headers == {"Authorization": "Bearer sesame"}
    assert (stored.owner_id, stored.rate_limit, stored.concurrency, stored.priority) == (owner_of(alice).id, 5, 3, Lane.HIGH)
    assert (stored.filter, stored.retry_config) == ({"severity": "high"}, {"schedule": [1, 2]})
    assert patterns(stored) == {"finding.opened", "scan.*"}
    assert list(stored.repositories.all()) == [shop]
    assert stored.state.enabled
    assert told("webhook.created") == [{"webhook_id": str(hook.id), "name": "hook", "url": "https://example.com/hook"}]


def test_the_audit_trail_of_a_new_webhook_shows_no_secret(alice: User) -> None:
    _, secret = create_webhook({**MINIMAL, "url": "https://example.com/hook?token=sesame1", "headers": {"X-Api-Key": "sesame2"}})
    entry = AuditEntry.objects.get(object_type="webhook")
    assert entry.verb == "created"
    assert entry.changes["headers"] == ["", "(set)"]
    text = str(entry.changes)
    assert "sesame1" not in text
    assert "sesame2" not in text
    assert secret not in text


def test_it_takes_a_secret_that_the_caller_chose() -> None:
    chosen = new_secret()
    hook, secret = create_webhook(MINIMAL, secret=chosen)
    assert secret == chosen
    assert hook.secrets == [{"secret": chosen, "expires_at": None}]


def test_a_webhook_may_begin_inactive() -> None:
    hook, _ = create_webhook({**MINIMAL, "status": "inactive"})
    assert (hook.status, hook.inactive_reason, hook.state.enabled) == ("inactive", InactiveReason.BY_USER, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "   "), ("name", "x" * 101), ("name", None), ("name", "a\x00b"), ("name", 5),
        ("url", "not a url"), ("url", "ftp://example.com"), ("url", 5), ("url", "https://10.0.0.1/"), ("url", "https://[::1]/"),
        ("url", "https://" + "x" * 2100), ("url", "http://example.com/"), ("url", "https://localhost/"), ("url", "https://2130706433/"),
        ("events", []), ("events", "scan.*"), ("events", ["nothing.here"]), ("events", [5]), ("events", ["webhook.*"]),
        ("events", ["custom.a"] * 101), ("events", ["x" * 101]), ("events", None),
        ("filter", {"a": {"$regex": "x"}}), ("filter", "x"),
        ("headers", {"Host": "x"}), ("headers", {"X-A": MASK}),
        ("retry_config", {"schedule": "x"}),
        ("rate_limit", 0), ("rate_limit", -1), ("rate_limit", "5"), ("rate_limit", True), ("rate_limit", 10_001),
        ("rate_limit", float("nan")),
        ("concurrency", 0), ("concurrency", 501), ("concurrency", None), ("concurrency", 1.5), ("concurrency", True),
        ("priority", 3), ("priority", "high"), ("priority", True), ("priority", None),
        ("status", "paused"), ("status", None),
    ],
)  # fmt: skip
def test_it_refuses_a_wrong_value_and_names_the_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        create_webhook({**MINIMAL, field: value})  # type: ignore[misc]
    assert set(caught.value.fields) == {field}
    assert not Webhook.objects.exists()


def test_it_names_every_wrong_field_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        create_webhook({"name": "", "url": "x", "events": [], "headers": {"Host": "x"}})
    assert set(caught.value.fields) == {"name", "url", "events", "headers"}


def test_it_names_what_is_missing() -> None:
    with pytest.raises(InvalidInput) as caught:
        create_webhook({"name": "hook"})
    assert set(caught.value.fields) == {"url", "events"}


def test_a_refused_address_says_which_setting_allows_it() -> None:
    with pytest.raises(InvalidInput, match="EGRESS_ALLOW_CIDRS"):
        create_webhook({**MINIMAL, "url": "https://10.0.0.1/hook"})


def test_an_allowed_inner_address_is_accepted(settings: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    hook, _ = create_webhook({**MINIMAL, "url": "http://127.0.0.1:9999/hook"})
    assert hook.url == "http://127.0.0.1:9999/hook"


def test_a_wrong_secret_leaves_nothing_behind() -> None:
    with pytest.raises(InvalidInput):
        create_webhook(MINIMAL, secret="short")
    assert not Webhook.objects.exists()


# --- update -----------------------------------------------------------------------------------------------------------


def test_it_changes_what_is_given_and_nothing_else() -> None:
    hook, secret = create_webhook({**MINIMAL, "headers": {"X-A": "1"}, "rate_limit": 5})
    update_webhook(hook, {"name": "other"})
    stored = Webhook.objects.get()
    assert (stored.name, stored.url, stored.rate_limit, stored.headers) == ("other", hook.url, 5, {"X-A": "1"})
    assert stored.secrets[0]["secret"] == secret
    assert told("webhook.updated")[0]["changed"] == ["name"]
    assert AuditEntry.objects.get(verb="changed").changes == {"name": ["hook", "other"]}


def test_new_events_replace_the_subscriptions() -> None:
    hook, _ = create_webhook(MINIMAL)
    update_webhook(hook, {"events": ["scan.*", "gate.failed", "gate.failed"]})
    assert Webhook.objects.get().events == ["scan.*", "gate.failed"]
    assert patterns(hook) == {"scan.*", "gate.failed"}


def test_repositories_are_replaced_and_audited() -> None:
    first, second = RepositoryFactory(), RepositoryFactory()
    hook, _ = create_webhook({**MINIMAL, "repositories": [first]})
    update_webhook(hook, {"repositories": [second]})
    assert set(WebhookRepository.objects.values_list("repository_id", flat=True)) == {second.id}
    assert AuditEntry.objects.get(verb="changed").changes == {"repositories": [[str(first.id)], [str(second.id)]]}


def test_saving_the_same_again_says_nothing() -> None:
    hook, _ = create_webhook({**MINIMAL, "headers": {"X-A": "1"}, "repositories": []})
    update_webhook(hook, {**MINIMAL, "headers": {"X-A": MASK}, "repositories": [], "filter": None, "retry_config": {}})
    assert not told("webhook.updated")
    assert not AuditEntry.objects.filter(verb="changed").exists()


def test_headers_are_replaced_with_masked_ones_kept() -> None:
    hook, _ = create_webhook({**MINIMAL, "headers": {"X-A": "1", "X-B": "2"}})
    update_webhook(hook, {"headers": {"X-A": MASK, "X-C": "3"}})
    assert Webhook.objects.get().headers == {"X-A": "1", "X-C": "3"}
    assert AuditEntry.objects.get(verb="changed").changes == {"headers": ["(set)", "(changed)"]}


def test_the_owner_stays_because_the_log_says_whose_it_is(alice: User, charlie: User) -> None:
    hook, _ = create_webhook({**MINIMAL, "owner_id": owner_of(alice).id})
    for other in (owner_of(charlie).id, None):
        with pytest.raises(InvalidInput) as raised:
            update_webhook(hook, {"owner_id": other, "name": "other"})
        assert list(raised.value.fields) == ["owner"]
    assert Webhook.objects.get().name == "hook"
    assert update_webhook(hook, {"owner_id": owner_of(alice).id, "name": "other"}).name == "other"


def test_a_wrong_change_changes_nothing() -> None:
    hook, _ = create_webhook(MINIMAL)
    with pytest.raises(InvalidInput):
        update_webhook(hook, {"name": "other", "url": "https://127.0.0.1/"})
    assert Webhook.objects.get().name == "hook"


def test_a_higher_cap_lets_a_full_webhook_be_claimed_again() -> None:
    hook, _ = create_webhook(MINIMAL)
    WebhookState.objects.update(full=True)
    update_webhook(hook, {"concurrency": 100})
    assert not WebhookState.objects.get().full


def test_a_new_status_switches_it() -> None:
    hook, _ = create_webhook(MINIMAL)
    assert update_webhook(hook, {"status": "inactive"}).inactive_reason == InactiveReason.BY_USER
    assert not WebhookState.objects.get().enabled
    assert update_webhook(hook, {"status": "active"}).status == WebhookStatus.ACTIVE
    assert WebhookState.objects.get().enabled
    assert len(told("webhook.disabled")) == len(told("webhook.enabled")) == 1


def test_sending_the_present_status_back_keeps_the_reason() -> None:
    hook, _ = create_webhook(MINIMAL)
    disable(hook, InactiveReason.GONE)
    update_webhook(hook, {"status": "inactive", "name": "other"})
    assert Webhook.objects.get().inactive_reason == InactiveReason.GONE


def test_a_deleted_webhook_cannot_be_changed() -> None:
    hook, _ = create_webhook(MINIMAL)
    delete_webhook(hook)
    with pytest.raises(Conflict):
        update_webhook(hook, {"name": "other"})
    with pytest.raises(Conflict):
        rotate_secret(hook)


# --- delete, rotate, switch -------------------------------------------------------------------------------------------


def test_deleting_hides_it_and_stops_its_deliveries() -> None:
    hook, _ = create_webhook(MINIMAL)
    delete_webhook(hook)
    delete_webhook(hook)
    assert Webhook.objects.get().deleted_at
    assert not WebhookState.objects.get().enabled
    assert len(told("webhook.deleted")) == 1
    assert AuditEntry.objects.filter(verb="deleted").count() == 1


def test_a_rotated_secret_signs_beside_the_old_one() -> None:
    hook, old = create_webhook(MINIMAL)
    new = rotate_secret(hook, 2)
    stored = Webhook.objects.get().secrets
    assert signing_secrets(stored, timezone.now()) == [new, old]
    assert signing_secrets(stored, timezone.now() + timedelta(hours=3)) == [new]
    assert told("webhook.secret_rotated")[0]["overlap_hours"] == 2
    assert new not in str(AuditEntry.objects.values_list("changes", flat=True))


def test_without_an_overlap_named_the_setting_holds() -> None:
    hook, old = create_webhook(MINIMAL)
    rotate_secret(hook)
    stored = Webhook.objects.get().secrets
    assert old in signing_secrets(stored, timezone.now() + timedelta(hours=23))
    assert old not in signing_secrets(stored, timezone.now() + timedelta(hours=25))


def test_a_secret_can_be_chosen_but_not_repeated() -> None:
    hook, old = create_webhook(MINIMAL)
    with pytest.raises(InvalidInput, match="current secret"):
        rotate_secret(hook, 1, old)
    chosen = new_secret()
    assert rotate_secret(hook, 1, chosen) == chosen


def test_a_webhook_whose_secret_is_unreadable_gets_a_new_one(settings: Any) -> None:
    hook, _ = create_webhook(MINIMAL)
    settings.FERNET_KEYS = ["another key entirely, of no meaning"]
    new = rotate_secret(hook)
    assert Webhook.objects.only("secrets").get().secrets == [{"secret": new, "expires_at": None}]


def test_disabling_parks_and_enabling_drains() -> None:
    hook = WebhookFactory()
    WebhookState.objects.update(next_due_at=timezone.now())
    disable(hook)
    state = WebhookState.objects.get()
    assert (state.enabled, state.next_due_at) == (False, None)
    assert (hook.status, hook.inactive_reason) == ("inactive", "by_user")
    waiting = WebhookDelivery.objects.create(webhook=hook, event=_event(), event_type="custom.a", next_attempt_at=timezone.now())
    enable(hook)
    state = WebhookState.objects.get()
    assert (state.enabled, state.next_due_at) == (True, waiting.next_attempt_at)
    assert (hook.status, hook.inactive_reason) == ("active", "")
    assert told("webhook.disabled")[0]["reason"] == "by_user"
    assert len(told("webhook.enabled")) == 1


def test_switching_twice_is_told_once() -> None:
    hook = WebhookFactory()
    disable(hook)
    disable(hook, InactiveReason.GONE)
    assert hook.inactive_reason == InactiveReason.BY_USER
    enable(hook)
    enable(hook)
    assert len(told("webhook.disabled")) == len(told("webhook.enabled")) == 1
    assert AuditEntry.objects.filter(verb="acted").count() == 2


def test_enabling_ends_a_hold_even_of_an_active_webhook() -> None:
    hook = WebhookFactory()
    later = timezone.now() + timedelta(hours=1)
    WebhookState.objects.update(
        hold_until=later,
        hold_reason=HoldReason.BREAKER,
        breaker=BreakerState.OPEN,
        breaker_trips=7,
        consecutive_failures=40,
        failing_since=later,
    )
    enable(hook)
    state = WebhookState.objects.get()
    assert (state.hold_until, state.hold_reason, state.breaker, state.breaker_trips) == (None, "", BreakerState.CLOSED, 0)
    assert (state.consecutive_failures, state.failing_since) == (0, None)


def test_enabling_wakes_the_drains(monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any) -> None:
    woken: list[int] = []
    monkeypatch.setattr("core.bus.wake", lambda: woken.append(1))
    with django_capture_on_commit_callbacks(execute=True):
        enable(WebhookFactory())
    assert woken


def test_operational_events_belong_to_the_webhooks_owner(alice: User) -> None:
    hook, _ = create_webhook({**MINIMAL, "owner_id": owner_of(alice).id})
    watcher = WebhookFactory(events=["webhook.updated"], owner=owner_of(alice))
    WebhookFactory(events=["webhook.updated"], owner=owner_of(User.objects.create_user("dora")))
    update_webhook(hook, {"name": "other"})
    assert list(WebhookDelivery.objects.values_list("webhook_id", flat=True)) == [watcher.id]
    assert DueHint.objects.get().webhook_id == watcher.id


def _event() -> Event:
    return Event.objects.create(type="custom.a", payload={}, size=2, created_at=timezone.now())


def test_a_webhook_whose_headers_can_not_be_decrypted_is_renamed_and_repaired(settings: Any) -> None:
    webhook, _ = create_webhook({**MINIMAL, "headers": {"X-Token": "old"}})
    settings.FERNET_KEYS = ["another-key-that-was-never-used-before"]
    update_webhook(webhook, {"name": "renamed"})
    update_webhook(webhook, {"headers": {"X-Token": "new"}})
    fresh = Webhook.objects.defer("secrets").get(id=webhook.id)
    assert (fresh.name, fresh.headers) == ("renamed", {"X-Token": "new"})
