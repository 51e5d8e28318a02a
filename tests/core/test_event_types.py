from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.event_types import Catalogue, EventType, catalogue, check_data, check_pattern, patterns_for

DESIGNED = [
    "repository.pushed",
    "pull_request.updated",
    "build.started",
    "build.completed",
    "build.failed",
    "build.recovered",
    "build.flaky",
    "scan.started",
    "scan.completed",
    "scan.failed",
    "finding.opened",
    "finding.fixed",
    "finding.reopened",
    "finding.accepted",
    "finding.expired",
    "gate.passed",
    "gate.failed",
    "gate.changed",
    "analysis.completed",
    "integration.unhealthy",
    "integration.recovered",
    "integration.quota_warning",
    "integration.credentials_expiring",
    "inbound.*",
    "inbound.alert_changed",
    "custom.*",
    "webhook.created",
    "webhook.updated",
    "webhook.deleted",
    "webhook.enabled",
    "webhook.disabled",
    "webhook.failing",
    "webhook.recovered",
    "webhook.secret_rotated",
    "delivery.failed",
    "delivery.exhausted",
    "webhook.test",
]


def _type(name: str, **more: object) -> EventType:
    return EventType(name=name, title="t", description="d", schema={"type": "object", "required": ["n"]}, example={"n": 1}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", DESIGNED)
def test_it_declares_every_type_of_the_design(name: str) -> None:
    assert name in catalogue.types


def test_every_type_has_a_description_and_an_example_that_fits_its_schema() -> None:
    for event_type in catalogue.all():
        assert event_type.title
        assert event_type.description.endswith(".")
        assert event_type.example
        event_type.validator.validate(event_type.example)
        assert catalogue.find(event_type.example_name) is event_type


def test_only_what_outsiders_may_say_is_postable() -> None:
    families = {event_type.family for event_type in catalogue.all() if event_type.postable}
    assert families == {"repository", "pull_request", "build", "custom"}
    assert not [event_type.name for event_type in catalogue.all() if event_type.postable and event_type.operational]


def test_operational_types_are_those_about_the_portals_own_deliveries_and_sources() -> None:
    assert {event_type.family for event_type in catalogue.all() if event_type.operational} == {"webhook", "delivery", "inbound"}


@pytest.mark.parametrize("name", ["custom.deploy", "custom.Deploy.EU-1", "custom.a.b.c.d.e.f.g", "custom._x"])
def test_it_finds_the_family_of_a_name(name: str) -> None:
    found = catalogue.find(name)
    assert found is not None
    assert found.name == "custom.*"


@pytest.mark.parametrize(
    "name",
    [
        "custom.*",
        "custom",
        "custom.",
        ".custom",
        "custom..x",
        "custom.a b",
        "custom.ü",
        "nothing.here",
        "*",
        "",
        "custom." + "x" * 94,
        "custom.a.b.c.d.e.f.g.h",
    ],
)
def test_it_knows_no_event_of_a_name_that_is_none(name: str) -> None:
    assert catalogue.find(name) is None


def test_an_exact_name_goes_before_its_family() -> None:
    found = catalogue.find("repository.pushed")
    assert found is not None
    assert found.name == "repository.pushed"


def test_patterns_are_the_name_and_all_its_wildcards() -> None:
    assert patterns_for("custom.a.b") == ["custom.a.b", "custom.a.*", "custom.*", "*"]


def test_no_wildcard_matches_an_operational_type() -> None:
    assert patterns_for("webhook.disabled") == ["webhook.disabled"]


@pytest.mark.parametrize("pattern", ["*", "scan.*", "custom.*", "custom.deploy.*", "custom.deploy", "finding.opened", "webhook.disabled"])
def test_it_accepts_a_pattern_that_can_match(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern", ["", "**", "*.*", "scan", "scan.", "scan.none", "nothing.*", "scan.*.x", "custom.*.*", "x" * 200, "Scan.*"]
)
def test_it_refuses_a_pattern_that_can_never_match(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="event-types lists them") as caught:
        check_pattern(pattern)
    assert caught.value.code == "unknown_event_type"
    assert len(caught.value.message) < 250


@pytest.mark.parametrize("pattern", ["webhook.*", "delivery.*"])
def test_it_says_that_operational_types_are_subscribed_by_name(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="exact names"):
        check_pattern(pattern)


def test_a_strict_type_names_what_breaks_its_schema() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_data("build.failed", {"build_id": None, "duration_seconds": -1})
    assert caught.value.code == "schema_violation"
    assert any(sentence.startswith("build_id: ") for sentence in caught.value.fields["data"])
    assert any(sentence.startswith("duration_seconds: ") for sentence in caught.value.fields["data"])


def test_a_schema_error_never_repeats_a_large_value_in_full() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_data("build.failed", {"build_id": ["x" * 10_000] * 10})
    assert all(len(sentence) <= 300 for sentence in caught.value.fields["data"])


@pytest.mark.parametrize("name", ["repository.pushed", "custom.thing", "pull_request.updated"])
def test_a_type_that_is_not_strict_takes_any_object(name: str) -> None:
    assert check_data(name, {"n": 1, "number": "not a number"}).name


@pytest.mark.parametrize("data", [None, [], 1, "text", True])
def test_data_must_be_an_object(data: object) -> None:
    with pytest.raises(InvalidInput, match="JSON object"):
        check_data("custom.thing", data)  # type: ignore[arg-type]


def test_it_refuses_an_event_of_an_unknown_type() -> None:
    with pytest.raises(InvalidInput, match="not a known event type"):
        check_data("nothing.here", {})


def test_a_type_declared_twice_stops_the_start() -> None:
    types = Catalogue()
    types.register([_type("a.b")])
    with pytest.raises(ValueError, match="twice"):
        types.register([_type("a.b", strict=True)])


def test_the_same_declaration_may_be_registered_again() -> None:
    types, declared = Catalogue(), _type("a.b")
    types.register([declared])
    types.register([declared])
    assert types.all() == [declared]


@pytest.mark.parametrize("name", ["plain", "Upper.case", "a..b", "a.*.*", "*"])
def test_a_malformed_name_stops_the_start(name: str) -> None:
    with pytest.raises(ValueError, match=r"lower case words"):
        Catalogue().register([_type(name)])


def test_an_example_that_breaks_its_schema_stops_the_start() -> None:
    broken = EventType(name="a.b", title="t", description="d", schema={"type": "object", "required": ["n"]}, example={})
    with pytest.raises(Exception, match="required"):
        Catalogue().register([broken])


def test_a_pattern_below_an_operational_family_is_refused_too() -> None:
    # a declared operational family would otherwise be reached by its own wildcard
    with pytest.raises(InvalidInput):
        check_pattern("webhook.secret.*")
