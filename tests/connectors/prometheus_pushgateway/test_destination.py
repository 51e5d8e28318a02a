"""Metrics in a real Pushgateway."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from prometheus_client.parser import text_string_to_metric_families

from core.http.door import BadAnswer
from integrations.checking import run_check
from integrations.connectors.prometheus_pushgateway.connector import PrometheusPushgateway
from integrations.connectors.prometheus_pushgateway.exposition import group_path
from integrations.contract.outbound import NothingToTell, OutgoingEvent
from integrations.contract.values import validate_values
from integrations.models import Integration
from tests.connectors.contract import Context, DictMemory
from tests.connectors.delivering import delivering, everything_logged, routed, tell
from tests.connectors.door import Answer, FakeDoor
from tests.connectors.prometheus_pushgateway.gateway import pushgateway, put, scraped
from tests.connectors.told import GOLDEN_TYPES, HOSTILE, every_type, example, gate, golden, hostile_events, monsters

pytestmark = pytest.mark.once
OPTIONS = {"job": "repoguard", "branches": ["*"]}
BASE = "https://pushgateway.example.com/push"
TOKEN = "tok-planted-77c1"


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    with pushgateway() as url:
        yield url


def made(*answers: Answer, **config: Any) -> Any:
    values, secrets = validate_values(PrometheusPushgateway, {"url": f"{BASE}/", "auth": "bearer"} | config, {"token": TOKEN})
    door = FakeDoor(*(answers or (Answer(200, b""),)), auth=PrometheusPushgateway.auth(values, secrets))  # type: ignore[arg-type]
    return PrometheusPushgateway(Context(Integration().id, "Mine", values, secrets, door))


def pushed(event: OutgoingEvent, memory: DictMemory | None = None, **options: Any) -> list[tuple[str, bytes]]:
    """Return path and body of what is pushed of an event; every body is read as Prometheus reads it on the way."""
    to = made()
    with contextlib.suppress(NothingToTell):
        assert to.send(event, OPTIONS | options, DictMemory() if memory is None else memory).ok
    for call in to.door.calls:
        assert (call.method, call.headers["Authorization"]) == ("PUT", f"Bearer {TOKEN}")
        families = list(text_string_to_metric_families(call.body.decode()))
        assert call.body.endswith(b"\n")
        assert len({family.name for family in families}) == len(families) > 0
        assert all(family.documentation and family.type == "gauge" and family.samples for family in families)
        assert all(sample.timestamp is None for family in families for sample in family.samples)
    return [(call.url.removeprefix(BASE), call.body) for call in to.door.calls]


def test_what_is_pushed_is_as_the_golden_files_show() -> None:
    for name in (*GOLDEN_TYPES, "gate.changed", "build.completed", "build.flaky"):
        shown = "".join(f"PUT {path}\n\n{body.decode()}" for path, body in pushed(example(name)))
        golden(Path(__file__).parent, f"{name}.txt", shown or "nothing\n")
    golden(Path(__file__).parent, "huge.txt", pushed(gate(5000, reasons=40))[0][1].decode())


def test_a_real_gateway_takes_whatever_happens(gateway: str) -> None:
    for event in (*every_type(), *monsters()):
        for path, body in pushed(event):
            assert put(gateway + path, body) == (200, ""), path
    repositories = {labels["repository"] for name, labels, _ in scraped(gateway) if name == "repoguard_gate_passed"}
    assert "acme/shop" in repositories
    assert any("<!channel>" in one for one in repositories), "what others wrote comes through as it was"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(event=hostile_events())
def test_a_real_gateway_takes_hostile_events(gateway: str, event: OutgoingEvent) -> None:
    for path, body in pushed(event):
        assert put(gateway + path, body) == (200, "")


@pytest.mark.parametrize("value", ["", "/", "a/b", "..", ".", "ü é", "a@base64", HOSTILE.replace("\ud800", ""), "%2f", "-", "?x=#y"])
def test_every_value_of_a_label_comes_back_as_it_was(gateway: str, value: str) -> None:
    path = group_path("t/e st", {"repository": value, "last": "x"})
    assert put(gateway + path, b"# TYPE repoguard_label_test gauge\nrepoguard_label_test 1\n") == (200, "")
    labels = [labels for name, labels, _ in scraped(gateway) if name == "repoguard_label_test" and labels.get("repository", "") == value]
    assert {"job": "t/e st", "instance": "", "last": "x"}.items() <= labels[0].items()


def test_kinds_of_the_same_branch_do_not_put_each_other_aside() -> None:
    paths = [pushed(example(name, tool="", workflow=""))[0][0] for name in ("gate.failed", "scan.completed", "build.failed")]
    assert len(set(paths)) == 3
    assert pushed(example("gate.changed"))[0][0] == pushed(example("gate.passed"))[0][0]


def test_only_chosen_branches_are_pushed() -> None:
    feature = example("gate.failed", ref="feature/x")
    assert pushed(feature, branches=["main", "master"]) == []
    assert pushed(feature, branches=["main", "feature/x"])
    assert pushed(example("gate.failed"), branches=["main"])
    with pytest.raises(NothingToTell, match=r"is none of those whose metrics are pushed \(main\)\."):
        made().send(feature, OPTIONS | {"branches": ["main"]}, DictMemory())


@pytest.mark.parametrize("name", ["build.started", "scan.started", "finding.opened", "repository.pushed", "custom.example"])
def test_what_holds_no_numbers_pushes_nothing(name: str) -> None:
    assert pushed(example(name)) == []
    assert pushed(example("build.completed", status="cancelled")) == []
    assert pushed(example("gate.failed", repository="")) == []


def test_an_older_event_does_not_put_a_newer_one_aside() -> None:
    memory, failed, passed = DictMemory(), gate(1), example("gate.passed")
    assert pushed(replace(passed, timestamp=failed.timestamp + timedelta(minutes=1)), memory)
    assert pushed(failed, memory) == []
    assert pushed(replace(failed, timestamp=failed.timestamp + timedelta(minutes=2)), memory)


def test_the_check_wants_a_pushgateway() -> None:
    said = b'{"status": "success", "data": {"build_information": {"version": "1.5.1"}}}'
    to = made(Answer(200, said))
    assert to.check().details == {"version": "1.5.1"}
    assert to.door.calls[0].url == f"{BASE}/api/v1/status"
    with pytest.raises(BadAnswer, match="no Pushgateway"):
        made(Answer(200, b'{"status": "success", "data": {}}')).check()


@pytest.mark.django_db(transaction=True)
def test_the_engine_pushes_and_explains_what_the_gateway_refuses(settings: Any) -> None:
    with pushgateway() as url, delivering(settings):
        hook = routed("prometheus_pushgateway", {"url": url, "auth": "bearer"}, {"token": TOKEN}, ["gate.*"])
        checked = run_check(hook.integration)
        assert (checked.ok, checked.message.startswith("Pushgateway 1.")) == (True, True)
        failed, passed = tell("gate.failed"), tell("gate.passed")
        assert [value for name, _, value in scraped(url) if name == "repoguard_gate_passed"] == [1]
        stranger = b"# TYPE repoguard_gate_broken_findings counter\nrepoguard_gate_broken_findings 1\n"
        assert put(f"{url}/metrics/job/repoguard/repository@base64/YWNtZS9zaG9w/provider/github/branch/main", stranger)[0] == 200
        assert put(f"{url}/metrics/job/stranger", stranger)[0] == 200
        refused = tell("gate.failed")
    assert [one.outcome for one in (failed, passed, refused)] == ["success", "success", "failed"]
    assert refused.error.startswith("The Pushgateway refused the metrics: ")
    assert "repoguard_gate_broken_findings" in refused.error
    assert TOKEN not in everything_logged()
