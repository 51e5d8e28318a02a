from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from access import services as access_services
from access.principals import SYSTEM
from core.leases import register_worker
from core.models import Circuit
from integrations.admin.health import standing
from integrations.admin.health_charts import HEIGHT, WIDTH, availability_chart, latest_bars, response_chart
from integrations.choices import Condition, HealthState
from integrations.health.days import Day
from integrations.health.record import record_check
from integrations.health.report import conditions, with_circuit
from integrations.models import HealthDay, HealthSample, Integration, IntegrationHealth
from repoguard.metrics_integrations import integration_metrics
from tests.factories import owner_of
from tests.integrations.health_kit import health_of, make_integration, sample_at, stub  # noqa: F401

pytestmark = pytest.mark.django_db
TODAY = timezone.now().date()
DAY = timedelta(days=1)


def _days(*values: tuple[int, int, float | None]) -> list[Day]:
    return [Day(TODAY - back * DAY, 100, failures, p95, p95, p95) for back, failures, p95 in values]


# --- Charts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [None, 1, 150, 60_000])
def test_every_point_of_the_response_chart_lies_within_it(target):
    chart = response_chart(_days((0, 0, 120.0), (1, 0, None), (29, 3, 4000.0)), target)
    dots = [dot for _, _, dots in chart.lines for dot in dots]
    assert len(dots) == 4
    assert all(0 <= dot.x <= WIDTH and 0 <= dot.y <= HEIGHT for dot in dots)
    assert chart.target_y is None if target is None else 0 <= chart.target_y <= HEIGHT


def test_a_missed_target_is_marked_in_both_charts():
    days = _days((0, 0, 120.0), (1, 5, 400.0))
    assert [dot.met for dot in response_chart(days, 200).lines[0][2]] == [False, True]
    assert [bar.met for bar, _, _ in availability_chart(days, 99.5).bars] == [True, False]


@pytest.mark.parametrize("failures", [0, 1, 100])
@pytest.mark.parametrize("target", [None, 0.0, 99.9, 100.0])
def test_every_bar_of_the_availability_chart_lies_within_it(failures, target):
    chart = availability_chart(_days((0, failures, 1.0), (3, 0, 1.0)), target)
    for bar, width, height in chart.bars:
        assert bar.x >= 0
        assert bar.x + width <= WIDTH
        assert bar.y >= 0
        assert bar.y + height <= HEIGHT
        assert height > 0


def test_without_checks_there_is_no_chart():
    assert availability_chart([Day(TODAY)], 99.0) is None
    assert response_chart([Day(TODAY, 3, 3)], 100) is None
    assert latest_bars([]) == []


# --- The page ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(alice, client):
    access_services.ensure_roles()
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")

    def get(row: Integration) -> str:
        response = client.get(reverse("admin:integrations_integrationhealth_change", args=[row.pk]))
        assert response.status_code == 200
        return response.content.decode()

    return get


def test_it_says_what_to_do_before_the_first_check(page, alice):
    text = page(make_integration(owner=owner_of(alice)))
    assert "No checks yet" in text
    assert "within a minute or two" in text


def test_it_shows_state_days_and_failures(page, alice):
    row = make_integration(owner=owner_of(alice), sla_availability=99.5, sla_response_ms=800)
    HealthDay.objects.create(integration=row, day=timezone.now().date() - DAY, checks=200, failures=4, p50_ms=100, p95_ms=900, p99_ms=901)
    for _ in range(3):
        record_check(row, False, None, "dns", "The name does not resolve; correct the base URL.")
    text = page(row)
    assert "Stub is unhealthy since" in text
    assert "3 checks in a row failed. The name does not resolve; correct the base URL." in text
    assert "availability missed" in text
    assert "response missed" in text
    assert "<svg" in text


@pytest.mark.parametrize(
    ("values", "health", "word"),
    [
        ({"status": "inactive"}, {"state": "unhealthy"}, "inactive"),
        ({"type": "nothing"}, {}, "not checkable"),
        ({}, {}, "not checked yet"),
        ({}, {"state": "healthy"}, "healthy"),
        ({"sla_response_ms": 100}, {"state": "degraded"}, "slow"),
        ({}, {"state": "unhealthy", "consecutive_failures": 3, "last_error": "down"}, "unhealthy"),
    ],
)
def test_it_says_how_an_integration_stands_in_one_word(values, health, word):
    row = make_integration(**values)
    IntegrationHealth.objects.filter(pk=row.pk).update(**health)
    found = standing(IntegrationHealth.objects.select_related("integration").get(pk=row.pk))
    assert found.word == word
    assert found.sentence


def test_first_failures_are_shown_before_the_state_changes():
    row = make_integration()
    record_check(row, True, 1.0)
    record_check(row, False, 1.0, "connect", "Nothing listens there.")
    found = standing(IntegrationHealth.objects.select_related("integration").get(pk=row.pk))
    assert (found.word, found.tone) == ("failing", "warn")
    assert found.sentence == "The last check failed. Nothing listens there."


def test_a_fault_of_the_portal_is_shown_as_what_it_is(browser):
    row = make_integration(sla_availability=99.0)
    record_check(row, True, 100.0)
    record_check(row, None, None, "unreadable_secret", "A stored secret can't be read.")
    found = standing(IntegrationHealth.objects.select_related("integration").get(pk=row.pk))
    assert (found.word, found.tone) == ("not measured", "warn")
    assert found.sentence.startswith("A stored secret can't be read.")
    assert "not the service" in found.sentence
    text = browser.get(reverse("admin:integrations_integrationhealth_change", args=[row.pk])).content.decode()
    assert "not measured" in text
    assert "None of the latest 1,000 checks failed." in text
    assert [kind for kind, _, _ in latest_bars(list(HealthSample.objects.order_by("-id")))] == ["success", "pending"]
    assert "Stub" in browser.get("/admin/").content.decode(), "the dashboard names it among those that need a look"


def test_those_in_trouble_are_listed_first(browser):
    for name, state in (("a", "healthy"), ("b", "unknown"), ("c", "unhealthy"), ("d", "degraded")):
        IntegrationHealth.objects.filter(pk=make_integration(name).pk).update(state=state)
    IntegrationHealth.objects.filter(pk=make_integration("off", status="inactive").pk).update(state="unhealthy")
    rows = browser.get(reverse("admin:integrations_integrationhealth_changelist")).context["cl"].result_list
    assert [row.integration.name for row in rows] == ["c", "d", "b", "a", "off"]


def test_the_dashboard_counts_integrations_and_names_those_in_trouble(browser):
    assert "Integrations: " not in browser.get(reverse("admin:index")).content.decode()
    for name, state in (("a", "healthy"), ("b", "healthy"), ("shop-api", "unhealthy")):
        IntegrationHealth.objects.filter(pk=make_integration(name).pk).update(state=state, last_error="It is down.")
    text = browser.get(reverse("admin:index")).content.decode()
    assert "Integrations: 2 healthy, 1 unhealthy" in text
    assert "shop-api" in text


def _open_breaker(row, state: str = "open") -> None:
    error = {"last_error": "It answered 500.", "opened_at": timezone.now()}
    Circuit.objects.update_or_create(integration_id=row.pk, defaults={"state": state, "failures": 3} | error)


@pytest.mark.parametrize("breaker", ["open", "half_open"])
def test_the_dashboard_counts_in_the_words_of_its_rows(browser, breaker):
    rows = {name: make_integration(name) for name in ("good", "calls", "check", "first", "slow", "new", "down")}
    states = {"good": "healthy", "calls": "healthy", "check": "healthy", "slow": "degraded", "down": "unhealthy"}
    for name, state in states.items():
        IntegrationHealth.objects.filter(pk=rows[name].pk).update(state=state, since=timezone.now() - DAY)
    IntegrationHealth.objects.filter(pk__in=[rows["check"].pk, rows["first"].pk]).update(consecutive_failures=1)
    for name in ("calls", "down"):
        _open_breaker(rows[name], breaker)
    text = browser.get(reverse("admin:index")).content.decode()
    expected = "1 healthy, 1 slow, 2 with a failing check, 1 with failing calls, 1 unhealthy, 1 not checked"
    assert f"Integrations: {expected}<" in text
    assert "refuses them for now. It answered 500." in text
    assert "1 day ago" not in text.split("with failing calls", 1)[1].split(">calls<", 1)[1].split("</tr>", 1)[0]


def test_the_words_agree_with_the_counts():
    row = make_integration()
    who = SYSTEM
    for state in HealthState.values:
        for failures in (0, 1):
            for is_open in (False, True):
                IntegrationHealth.objects.filter(pk=row.pk).update(state=state, consecutive_failures=failures)
                _open_breaker(row, "open" if is_open else "closed")
                health = with_circuit(IntegrationHealth.objects.select_related("integration")).get(pk=row.pk)
                (counted,) = conditions(who)
                assert standing(health).word == counted.label
                assert (counted == Condition.HEALTHY) == (state == "healthy" and not failures and not is_open)
                assert health.shown_state == ("unhealthy" if is_open else state)


def test_lists_put_an_open_breaker_among_the_unhealthy(browser):
    good, calls = (make_integration(name) for name in ("a-good", "b-calls"))
    IntegrationHealth.objects.update(state="healthy")
    _open_breaker(calls)
    url = reverse("admin:integrations_integrationhealth_changelist")
    response = browser.get(url)
    assert [row.pk for row in response.context["cl"].result_list] == [calls.pk, good.pk]
    assert "It answered 500." in response.content.decode()
    for address, parameter in ((url, "state"), (reverse("admin:integrations_integration_changelist"), "health")):
        for value, found in (("healthy", [good.pk]), ("unhealthy", [calls.pk])):
            response = browser.get(address, {parameter: value})
            assert [row.pk for row in response.context["cl"].result_list] == found
    listed = response.content.decode()
    assert "calls failing</span>" in listed
    assert "breaker open</span>" not in listed


# --- Metrics ----------------------------------------------------------------------------------------------------------


def test_metrics_say_which_integrations_are_up(django_assert_num_queries):
    up, down, unknown, off = (make_integration(name) for name in ("up", "down", "unknown", "off"))
    for row, state in ((up, "degraded"), (down, "unhealthy"), (off, "healthy")):
        IntegrationHealth.objects.filter(pk=row.pk).update(state=state)
    Integration.objects.filter(pk=off.pk).update(status="inactive")
    HealthDay.objects.create(integration=up, day=timezone.now().date() - DAY, checks=200, failures=1)
    with django_assert_num_queries(3):
        families = {family.name: family.samples for family in integration_metrics()}
    assert {sample.labels["name"]: sample.value for sample in families["repoguard_integration_up"]} == {"up": 1, "down": 0}
    assert [sample.value for sample in families["repoguard_integration_availability_percent"]] == [99.5]
    counts = {sample.labels["state"]: sample.value for sample in families["repoguard_integrations"]}
    assert counts == {"degraded": 1, "healthy": 0, "unhealthy": 1, "unknown": 1}
    assert unknown.pk


def test_metrics_know_an_open_breaker():
    row = make_integration()
    IntegrationHealth.objects.filter(pk=row.pk).update(state="healthy")
    _open_breaker(row)
    families = {family.name: family.samples for family in integration_metrics()}
    assert [sample.value for sample in families["repoguard_integration_up"]] == [0]
    assert {sample.labels["state"]: sample.value for sample in families["repoguard_integrations"]} == {
        "degraded": 0, "healthy": 0, "unhealthy": 1, "unknown": 0,
    }  # fmt: skip


def test_metrics_are_bounded_and_keep_the_critical_ones(monkeypatch):
    monkeypatch.setattr("repoguard.metrics_integrations.MOST", 2)
    for name in ("optional", "important", "critical"):
        IntegrationHealth.objects.filter(pk=make_integration(name, criticality=name).pk).update(state="healthy")
    up = next(family for family in integration_metrics() if family.name == "repoguard_integration_up")
    assert [sample.labels["name"] for sample in up.samples] == ["critical", "important"]


def test_samples_of_a_day_make_the_page_no_dearer(browser):
    row = make_integration()
    url, counts = reverse("admin:integrations_integrationhealth_change", args=[row.pk]), []
    for number in (1, 40):
        for _ in range(number):
            sample_at(row, timezone.now(), ok=False)
        with CaptureQueriesContext(connection) as queries:
            browser.get(url)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert HealthSample.objects.count() == 41
    assert health_of(row).state == "unknown"


def test_an_open_breaker_is_never_called_healthy(browser):
    row = make_integration(criticality="critical")
    IntegrationHealth.objects.filter(pk=row.pk).update(state="healthy")
    Circuit.objects.update_or_create(integration_id=row.pk, defaults={"state": "open", "failures": 3})
    shown = browser.get(reverse("admin:integrations_integrationhealth_change", args=[row.pk]))
    assert "calls failing" in shown.content.decode()
    found = browser.get("/admin/").content.decode()
    assert "None of them needs a look" not in found
    assert "calls failing" in found
    for kind in ("default", "deliveries"):
        register_worker(f"cluster:{kind}")
    register_worker("deliveries")
    assert "(critical, calls failing)" in browser.get("/admin/").content.decode()
    changed = browser.get(reverse("admin:integrations_integration_change", args=[row.pk])).content.decode()
    assert "The last checks succeeded" not in changed
    assert "Calls failing" in changed
    assert changed.count("rg-notice rg-bad") == 1
    Circuit.objects.update(state="closed", failures=2)
    changed = browser.get(reverse("admin:integrations_integration_change", args=[row.pk])).content.decode()
    assert "The last 2 calls failed." in changed
