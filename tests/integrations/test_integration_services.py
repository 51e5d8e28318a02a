from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.models import AuditEntry
from core.errors import Conflict, InvalidInput
from core.housekeeping import Batch, Step, run_now
from core.housekeeping import find as find_job
from core.http import breaker
from core.http.client import CallInTransaction
from core.models import CachedAnswer, Circuit, RequestLog
from core.models.outbound import CallPurpose
from integrations.calls import connector_for, door_for, terms_of
from integrations.checking import CheckReport, run_check
from integrations.health.record import record_check
from integrations.housekeeping import drop_old_credentials, purge_integrations
from integrations.models import Endpoint, HealthDay, HealthSample, Integration, IntegrationHealth
from integrations.services import integrations as services
from integrations.services.circuits import reset_circuit
from integrations.services.credentials import Rotation
from tests.core.door_stub import Service, http, serving
from tests.factories import WebhookFactory, owner_of

pytestmark = pytest.mark.django_db
OLD, NEW = "old-token-7c1f9a", "new-token-b83e20"


@pytest.fixture
def service(settings: Any) -> Iterator[Service]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with serving() as running:
        yield running


def config(service: Service, **more: Any) -> dict[str, Any]:
    return {"base_url": f"{service.url}/api", "auth": "bearer"} | more


def make(service: Service, **more: Any) -> Integration:
    values = {"name": "Tracker", "type": "http", "config": config(service), "credentials": {"token": OLD}} | more
    return services.create_integration(services.IntegrationValues(**values))


def test_none_is_made_of_a_connector_that_only_receives() -> None:
    with pytest.raises(InvalidInput, match="make an inbound source instead") as caught:
        services.create_integration(services.IntegrationValues(name="Shop", type="stripe"))
    assert (caught.value.code, list(caught.value.fields)) == ("only_receives", ["type"])


def stored(integration: Integration) -> Integration:
    return Integration.objects.get(id=integration.id)


def tokens(service: Service) -> list[str]:
    """Return the tokens that the service was shown."""
    lines = [line for request in service.requests for line in request.decode().split("\r\n") if line.lower().startswith("authorization:")]
    return [line.rpartition(" ")[2] for line in lines]


def accepts(*good: str) -> Any:
    """Answer 200 to these tokens, 401 to others."""

    def answer(sock: Any, request: bytes) -> None:
        sock.sendall(http(200, b'{"status": "ok"}') if any(token.encode() in request for token in good) else http(401, b"{}"))

    return answer


def entry(action: str = "") -> AuditEntry:
    return AuditEntry.objects.filter(object_type="integration", action=action).latest("id")


# --- Creating, changing, deleting ---


def test_it_creates_an_integration_with_its_health_row_and_an_audit_entry_without_secrets(service: Service, alice: User) -> None:
    row = make(service, owner_id=owner_of(alice).id, quota_limit=10)
    assert stored(row).credentials == {"token": OLD}
    assert stored(row).config["expected_status"] == ["200-299"]
    assert (row.category, row.credentials_changed_at is not None) == ("development", True)
    assert IntegrationHealth.objects.filter(integration=row).exists()
    changes = entry().changes
    assert changes["credentials.token"] == ["", "(set)"]
    assert changes["config.base_url"] == [None, f"{service.url}/api"]
    assert OLD not in str(changes)
    assert service.requests == []


def test_all_wrong_values_are_named_at_once(service: Service) -> None:
    values = {
        "name": " ",
        "config": {"base_url": "nonsense"},
        "credentials": {},
        "quota_limit": 0,
        "sla_availability": 101,
        "metadata": [1],
    }
    with pytest.raises(InvalidInput) as error:
        services.create_integration(services.IntegrationValues(type="http", **values))  # type: ignore[typeddict-item]
    assert set(error.value.fields) == {"name", "quota_limit", "sla_availability", "metadata", "config.base_url"}
    with pytest.raises(InvalidInput) as error:
        services.create_integration(services.IntegrationValues(name="x"))
    assert set(error.value.fields) == {"type"}
    with pytest.raises(InvalidInput) as error:
        services.create_integration(services.IntegrationValues(name="x", type="carrier_pigeon"))
    assert set(error.value.fields) == {"type"}
    with pytest.raises(InvalidInput) as error:
        make(service, credentials={})
    assert set(error.value.fields) == {"credentials.token"}


def test_a_change_is_merged_and_keeps_the_credentials(service: Service) -> None:
    row = make(service, config=config(service, health_path="/health"))
    services.update_integration(
        row, services.IntegrationValues(config={"health_path": None, "health_value": "ok", "health_jsonpath": "$.a"})
    )
    now = stored(row)
    assert (now.config.get("health_path"), now.config["health_value"], now.config["auth"]) == (None, "ok", "bearer")
    assert now.credentials == {"token": OLD}
    assert now.previous_credentials is None
    assert entry().changes["config.health_path"] == ["/health", None]


def test_a_replacement_takes_the_configuration_whole(service: Service) -> None:
    row = make(service, config=config(service, health_path="/health"))
    services.update_integration(row, services.IntegrationValues(config=config(service)), replace=True)
    assert "health_path" not in stored(row).config
    assert stored(row).credentials == {"token": OLD}


def test_a_change_of_nothing_writes_nothing(service: Service) -> None:
    row = make(service)
    before = AuditEntry.objects.count()
    services.update_integration(
        row, services.IntegrationValues(name="Tracker", config=config(service), credentials={"token": {"set": True}})
    )
    assert AuditEntry.objects.count() == before
    assert stored(row).updated_at == row.updated_at


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "https://evil.example.com/api"},
        {"base_url": "https://127.0.0.1:1/api"},
        {"auth": "oauth2_client_credentials", "oauth_token_url": "https://evil.example.com/token", "oauth_client_id": "x"},
    ],
)
def test_another_place_asks_for_the_credentials_again(service: Service, change: dict[str, Any]) -> None:
    row = make(service, config=config(service), credentials={"token": OLD, "secret_headers": {"X-Key": "very-secret"}})
    with pytest.raises(InvalidInput) as error:
        services.update_integration(row, services.IntegrationValues(config=change))
    assert "credentials.secret_headers" in error.value.fields
    assert stored(row).config["base_url"] == f"{service.url}/api"
    assert stored(row).credentials == {"token": OLD, "secret_headers": {"X-Key": "very-secret"}}


def test_a_test_with_another_place_never_sends_the_stored_credentials_there(service: Service) -> None:
    row = make(service)
    with serving() as thief:
        with pytest.raises(InvalidInput) as error:
            services.test_integration(row, services.IntegrationValues(config={"base_url": thief.url}))
        assert "must be entered again" in error.value.fields["credentials.token"][0]
        assert thief.requests == []


def test_another_place_with_new_credentials_drops_the_old_ones_at_once(service: Service) -> None:
    row = make(service)
    services.rotate_credentials(row, {"token": NEW}, force=True)
    services.update_integration(
        row, services.IntegrationValues(config={"base_url": "https://other.example.com"}, credentials={"token": "third"})
    )
    assert stored(row).credentials == {"token": "third"}
    assert stored(row).previous_credentials is None
    with pytest.raises(Conflict):
        services.restore_credentials(row)


def test_a_move_without_credentials_drops_the_old_ones_too(service: Service) -> None:
    row = make(service)
    services.update_integration(row, services.IntegrationValues(config={"auth": "none"}))
    assert stored(row).credentials == {}
    assert stored(row).previous_credentials is None


def test_new_credentials_in_a_change_keep_the_old_ones_for_the_overlap(service: Service) -> None:
    row = make(service, credentials_expire_at=timezone.now())
    services.update_integration(row, services.IntegrationValues(credentials={"token": NEW}))
    now = stored(row)
    assert (now.credentials, now.previous_credentials) == ({"token": NEW}, {"token": OLD})
    assert now.credentials_expire_at is None
    assert entry().changes == {"credentials.token": ["(set)", "(changed)"]}


def test_type_and_owner_stay(service: Service, alice: User) -> None:
    row = make(service)
    with pytest.raises(InvalidInput) as error:
        services.update_integration(row, services.IntegrationValues(type="other", owner_id=owner_of(alice).id))
    assert set(error.value.fields) == {"type", "owner"}


def test_it_is_deleted_with_what_the_door_remembers(service: Service) -> None:
    row = make(service)
    Circuit.objects.create(integration_id=row.id)
    services.test_integration(row)
    services.delete_integration(row)
    assert not Integration.objects.exists()
    assert not Circuit.objects.exists()
    assert RequestLog.objects.filter(integration_id=row.id).exists()
    with pytest.raises(Conflict):
        services.update_integration(row, services.IntegrationValues(name="x"))


def used_for_years(row: Integration, samples: int) -> None:
    now = timezone.now()
    HealthSample.objects.bulk_create([HealthSample(integration=row, checked_at=now, ok=True) for _ in range(samples)])
    HealthDay.objects.bulk_create([HealthDay(integration=row, day=now.date() - timedelta(days=back)) for back in range(30)])
    CachedAnswer.objects.bulk_create(
        [CachedAnswer(key=f"k{n}", integration_id=row.id, status_code=200, body="", stored_at=now, expires_at=now) for n in range(20)]
    )


def test_it_is_hidden_at_once_at_the_same_cost_however_much_there_is(service: Service, alice: User) -> None:
    costs = []
    for samples in (1, 400):
        row = make(service, owner_id=owner_of(alice).id)
        used_for_years(row, samples)
        with CaptureQueriesContext(connection) as queries:
            services.delete_integration(row)
        costs.append(len(queries))
        assert not [query for query in queries if "healthsample" in query["sql"] and query["sql"].startswith("DELETE")]
        assert not Integration.objects.exists()
        assert not IntegrationHealth.objects.exists()
        hidden = Integration.stored.get(id=row.id)
        assert (hidden.credentials, hidden.previous_credentials, hidden.owner, hidden.status) == ({}, None, None, "inactive")
        assert record_check(row, True, 1.0) is None, "a test that was under way is not kept"
        with pytest.raises(Conflict, match="deleted"):
            services.delete_integration(row)
        run_now(find_job("integrations.deleted"))
    assert costs[0] == costs[1]


def test_housekeeping_removes_it_in_batches(service: Service) -> None:
    row, other = make(service), make(service, name="other")
    used_for_years(row, 70)
    HealthSample.objects.create(integration=other, checked_at=timezone.now(), ok=True)
    services.delete_integration(row)
    assert purge_integrations(Batch(dry_run=True)).rows == 1
    removed, cursor, steps = [], "", 0
    while steps == 0 or cursor:
        step = purge_integrations(Batch(limit=25, cursor=cursor))
        removed.append(step.rows)
        cursor, steps = step.cursor, steps + 1
    assert (max(removed), sum(removed)) == (25, 70 + 30 + 20 + 1)
    assert not Integration.stored.filter(id=row.id).exists()
    assert not CachedAnswer.objects.exists()
    assert HealthSample.objects.get().integration_id == other.id
    assert purge_integrations(Batch()) == Step()


def test_one_that_a_webhook_took_at_the_last_moment_waits_and_holds_up_no_other(service: Service) -> None:
    first, second = make(service), make(service)
    for row in (first, second):
        services.delete_integration(row)
    hook = WebhookFactory(integration=Integration.stored.get(id=first.id), url="")
    run_now(find_job("integrations.deleted"))
    assert list(Integration.stored.values_list("id", flat=True)) == [first.id]
    hook.delete()
    run_now(find_job("integrations.deleted"))
    assert not Integration.stored.exists()


def test_it_stays_while_webhooks_or_endpoints_use_it(service: Service) -> None:
    row = make(service)
    endpoint = Endpoint.objects.create(integration=row, name="get-issue", path="/issues")
    with pytest.raises(Conflict, match="get-issue"):
        services.delete_integration(row)
    Endpoint.objects.filter(id=endpoint.id).update(enabled=False)
    hook = WebhookFactory(integration=row, url="")
    with pytest.raises(Conflict, match="webhook"):
        services.delete_integration(row)
    hook.delete()
    services.delete_integration(row)
    assert not Endpoint.objects.exists()


def test_an_inactive_one_is_not_called_but_can_be_tested(service: Service) -> None:
    row = services.deactivate(make(service))
    for call in (lambda: door_for(row, CallPurpose.GATEWAY), lambda: connector_for(row, CallPurpose.SCAN)):
        with pytest.raises(Conflict) as error:
            call()
        assert error.value.code == "inactive"
    assert services.test_integration(row).ok
    door_for(services.activate(row), CallPurpose.GATEWAY)
    assert AuditEntry.objects.filter(object_type="integration", verb="changed").count() == 2


def test_terms_follow_the_purpose(service: Service) -> None:
    row = make(service, stale_seconds=60, timeout_seconds=7, quota_limit=3)
    gateway, delivery = terms_of(row, CallPurpose.GATEWAY, "get-issue"), terms_of(row, CallPurpose.DESTINATION)
    assert (gateway.stale_seconds, gateway.endpoint, gateway.timeout, gateway.quota_limit) == (60, "get-issue", 7.0, 3)
    assert (delivery.stale_seconds, delivery.attempts, delivery.longest_wait) == (0, 1, 0.0)


# --- Testing ---


def test_a_test_is_kept_as_a_manual_sample(service: Service) -> None:
    row = make(service)
    service.says(http(200), http(500, b"{}"))
    good, bad = services.test_integration(row), services.test_integration(row)
    assert (good.ok, bad.ok) == (True, False)
    assert "500" in bad.message
    samples = HealthSample.objects.order_by("id")
    assert [(sample.ok, sample.trigger) for sample in samples] == [(True, "manual"), (False, "manual")]
    assert RequestLog.objects.filter(integration_id=row.id, purpose="check").count() == 2


def test_a_test_with_other_values_stores_nothing(service: Service) -> None:
    row = make(service)
    service.says(accepts(NEW))
    assert not services.test_integration(row, services.IntegrationValues(credentials={"token": "wrong"})).ok
    assert services.test_integration(row, services.IntegrationValues(credentials={"token": NEW})).ok
    assert stored(row).credentials == {"token": OLD}
    assert not HealthSample.objects.exists()


def test_a_new_integration_is_tested_before_it_is_stored(service: Service) -> None:
    service.says(http(503))
    values = services.IntegrationValues(name="New", type="http", config=config(service), credentials={"token": NEW})
    for _ in range(6):
        assert not services.test_integration(None, values).ok
    assert tokens(service) == [NEW] * 6
    assert not Integration.objects.exists()
    assert not Circuit.objects.exists()


def test_a_persons_test_asks_also_while_the_breaker_is_open(service: Service) -> None:
    row = make(service, breaker_failures=1)
    service.says(http(500), http(200))
    with pytest.raises(Exception, match="500"):
        connector_for(row, CallPurpose.SCAN).check()  # type: ignore[attr-defined]
    assert breaker.state(row.id).state == "open"
    assert services.test_integration(row).ok
    assert breaker.state(row.id).state == "open"
    assert reset_circuit(row).state == "closed"
    assert entry("reset-breaker").changes["state"] == ["open", "closed"]
    before = AuditEntry.objects.count()
    reset_circuit(row)
    assert AuditEntry.objects.count() == before


def test_no_transaction_may_be_open(service: Service) -> None:
    row = make(service)
    with transaction.atomic(), pytest.raises(CallInTransaction):
        services.test_integration(row)


# --- Rotating ---


def test_new_credentials_are_tried_then_stored_and_the_old_ones_kept(service: Service) -> None:
    row = make(service, credentials_expire_at=timezone.now())
    service.says(accepts(NEW))
    rotation = services.rotate_credentials(row, {"token": NEW}, 2)
    now = stored(row)
    assert tokens(service) == [NEW]
    assert (now.credentials, now.previous_credentials) == ({"token": NEW}, {"token": OLD})
    assert timedelta(hours=1, minutes=59) < now.previous_until - timezone.now() <= timedelta(hours=2)
    assert rotation.report is not None
    assert (rotation.changed, rotation.report.ok, rotation.previous_until) == (("token",), True, now.previous_until)
    changes = entry("rotate-credentials").changes
    assert changes == {"credentials.token": ["(set)", "(changed)"], "overlap_hours": [None, 2.0], "tested": [None, "yes"]}


def test_the_trail_tells_what_was_removed_from_what_was_changed() -> None:
    relay = {"provider": "smtp", "from_address": "a@example.com", "host": "mail.example.com", "security": "starttls"}
    row = Integration.objects.create(name="Relay", type="email", category="communication", config=relay, credentials={"password": OLD})
    services.rotate_credentials(row, {"password": ""}, 2, force=True)
    assert entry("rotate-credentials").changes["credentials.password"] == ["(set)", ""]
    services.restore_credentials(row)
    assert entry("restore-credentials").changes == {"credentials.password": ["", "(set)"]}


def test_credentials_that_do_not_work_change_nothing(service: Service) -> None:
    row = make(service)
    service.says(accepts(OLD))
    before = Integration.objects.filter(id=row.id).values().get()
    with pytest.raises(Conflict) as error:
        services.rotate_credentials(row, {"token": NEW})
    assert error.value.code == "check_failed"
    assert "not stored" in error.value.message
    assert NEW not in error.value.message
    assert Integration.objects.filter(id=row.id).values().get() == before
    rotation = services.rotate_credentials(row, {"token": NEW}, force=True)
    assert rotation.report is None
    assert stored(row).credentials == {"token": NEW}
    assert entry("rotate-credentials").changes["tested"] == [None, "no, by force"]


def test_no_call_falls_back_on_the_old_credentials(service: Service) -> None:
    row = make(service)
    services.rotate_credentials(row, {"token": NEW}, force=True)
    service.says(accepts(OLD))
    assert not services.test_integration(stored(row)).ok
    assert tokens(service) == [NEW]


@pytest.mark.parametrize(
    ("credentials", "field"),
    [
        ({"token": OLD}, "credentials"), ({}, "credentials"), ({"token": None}, "credentials.token"),
        ({"token": ""}, "credentials.token"), ({"passphrase": "x"}, "credentials.passphrase"), ([], "credentials"),
    ],
)  # fmt: skip
def test_a_rotation_to_nothing_new_or_nonsense_is_refused(service: Service, credentials: Any, field: str) -> None:
    row = make(service)
    with pytest.raises(InvalidInput) as error:
        services.rotate_credentials(row, credentials)
    assert set(error.value.fields) == {field}
    assert service.requests == []


@pytest.mark.parametrize("hours", [-1, 721, True, "2", float("nan")])
def test_an_absurd_overlap_is_refused(service: Service, hours: Any) -> None:
    with pytest.raises(InvalidInput) as error:
        services.rotate_credentials(make(service), {"token": NEW}, hours)
    assert set(error.value.fields) == {"overlap_hours"}


def test_old_credentials_come_back_and_go_again(service: Service) -> None:
    row = make(service)
    services.rotate_credentials(row, {"token": NEW})
    services.restore_credentials(row)
    assert (stored(row).credentials, stored(row).previous_credentials) == ({"token": OLD}, {"token": NEW})
    services.restore_credentials(row)
    assert stored(row).credentials == {"token": NEW}
    assert entry("restore-credentials").changes == {"credentials.token": ["(set)", "(changed)"]}


def test_without_an_overlap_nothing_is_kept(service: Service) -> None:
    row = make(service)
    services.rotate_credentials(row, {"token": NEW}, 0)
    assert (stored(row).previous_credentials, stored(row).previous_until) == (None, None)
    with pytest.raises(Conflict) as error:
        services.restore_credentials(row)
    assert error.value.code == "no_previous"


def test_old_credentials_are_forgotten_when_the_overlap_ends(service: Service) -> None:
    row, other = make(service), make(service)
    for each in (row, other):
        services.rotate_credentials(each, {"token": NEW})
    Integration.objects.filter(id=row.id).update(previous_until=timezone.now())
    with pytest.raises(Conflict):
        services.restore_credentials(row)
    assert drop_old_credentials(Batch(dry_run=True)).rows == 1
    assert stored(row).previous_credentials == {"token": OLD}
    assert drop_old_credentials(Batch()).rows == 1
    assert (stored(row).previous_credentials, stored(other).previous_credentials) == (None, {"token": OLD})


def test_unreadable_credentials_can_be_entered_again(service: Service, settings: Any) -> None:
    row = make(service)
    settings.FERNET_KEYS = ["another key"]
    services.update_integration(row, services.IntegrationValues(name="Renamed"))
    with pytest.raises(Conflict) as error:
        services.update_integration(row, services.IntegrationValues(config={"health_path": "/x"}))
    assert error.value.code == "unreadable_secret"
    services.rotate_credentials(row, {"token": NEW})
    assert stored(row).credentials == {"token": NEW}


# --- Races ---


def test_a_change_during_the_test_of_new_credentials_wins(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    row = make(service)

    def changed_meanwhile(integration: Integration, **options: Any) -> CheckReport:
        Integration.objects.filter(id=row.id).update(credentials_changed_at=timezone.now(), credentials={"token": "theirs"})
        return run_check(integration, **options)

    monkeypatch.setattr("integrations.services.credentials.run_check", changed_meanwhile)
    with pytest.raises(Conflict) as error:
        services.rotate_credentials(row, {"token": NEW})
    assert error.value.code == "changed_meanwhile"
    assert stored(row).credentials == {"token": "theirs"}


@pytest.mark.django_db(transaction=True)
def test_of_two_rotations_at_once_one_is_stored_whole(service: Service) -> None:
    row = make(service, credentials={"token": OLD})
    both = threading.Barrier(2, timeout=20)

    def answer(sock: Any, request: bytes) -> None:
        both.wait()  # both have read, neither has written
        sock.sendall(http())

    service.says(answer)
    results: list[Rotation | Conflict] = []

    def rotate(token: str) -> None:
        try:
            results.append(services.rotate_credentials(row, {"token": token}))
        except Conflict as error:
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=rotate, args=(token,)) for token in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    won = [result for result in results if isinstance(result, Rotation)]
    lost = [result for result in results if isinstance(result, Conflict)]
    assert len(won) == len(lost) == 1
    assert lost[0].code == "changed_meanwhile"
    now = stored(row)
    assert now.credentials == won[0].integration.credentials
    assert now.previous_credentials == {"token": OLD}
    assert AuditEntry.objects.filter(action="rotate-credentials").count() == 1
