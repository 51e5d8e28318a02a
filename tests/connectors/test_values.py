"""Values of declared fields: what is taken, in which form it is stored, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from integrations.choices import Category
from integrations.contract.connector import Connector
from integrations.contract.fields import Field, FieldKind
from integrations.contract.outbound import Destination
from integrations.contract.schema import validate_options, validate_values


class Acme(Connector):
    """A connector of every kind of field."""

    key = "acme"
    title = "Acme"
    description = "For tests."
    categories = (Category.SECURITY,)
    fields = (
        Field("url", "URL", FieldKind.URL, required=True),
        Field("mode", "Mode", FieldKind.CHOICE, choices=(("a", "A"), ("b", "B")), default="a"),
        Field("team", "Team", pattern="[a-z]+", max_length=5, placeholder="blue", only_if=("mode", ("b",)), required=True),
        Field("note", "Note", FieldKind.MULTILINE),
        Field("count", "Count", FieldKind.INTEGER, low=1, high=10, default=3),
        Field("share", "Share", FieldKind.NUMBER),
        Field("on", "On", FieldKind.BOOLEAN, default=True),
        Field("words", "Words", FieldKind.WORDS, max_length=5),
        Field("kinds", "Kinds", FieldKind.WORDS, choices=(("x", "X"), ("y", "Y"))),
        Field("names", "Names", FieldKind.MAPPING, max_length=5),
        Field("token", "Token", secret=True, required=True),
        Field("key", "Key", secret=True, only_if=("mode", ("b",)), required=True),
        Field("extra", "Extra", secret=True),
    )

    @classmethod
    def validate(cls, config: Any, credentials: Any) -> dict[str, list[str]]:
        if config.get("note") == "raise":
            raise InvalidInput.of("note", "was raised.")
        return {"note": ["is bad."], "token": ["is bad too."]} if config.get("note") == "bad" else {}


GOOD = {"url": "https://acme.example.com/"}
STORED = {"url": "https://acme.example.com/", "mode": "a", "count": 3, "on": True}


def refused(config: Any, credentials: Any = None, **more: Any) -> dict[str, list[str]]:
    with pytest.raises(InvalidInput) as caught:
        validate_values(Acme, config, {"token": "t"} if credentials is None else credentials, **more)
    assert all(f"{name}: " in caught.value.message for name in caught.value.fields)
    return caught.value.fields


def config_of(**values: Any) -> dict[str, Any]:
    return validate_values(Acme, GOOD | values, {"token": "t"})[0]


def test_defaults_are_filled_in() -> None:
    assert validate_values(Acme, GOOD, {"token": "t"}) == (STORED, {"token": "t"})


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("url", " https://ACME.example.com:443/x ", "https://acme.example.com/x"),
        ("mode", "a", "a"),
        ("note", "one\r\ntwo\n", "one\ntwo\n"),
        ("count", 10, 10),
        ("count", 4.0, 4),
        ("share", 0.5, 0.5),
        ("share", -3, -3),
        ("on", False, False),
        ("words", [" a ", "b", "a"], ["a", "b"]),
        ("kinds", ["y"], ["y"]),
        ("names", {" A ": " b "}, {"A": "b"}),
    ],
)
def test_a_good_value_is_stored_in_one_form(field: str, given: Any, kept: Any) -> None:
    assert config_of(**{field: given})[field] == kept


@pytest.mark.parametrize("empty", ["", "  ", [], {}])
def test_what_is_empty_is_not_stored(empty: Any) -> None:
    name = {str: "note", list: "words", dict: "names"}[type(empty)]
    assert name not in config_of(**{name: empty})


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("url", "", "can't be empty."),
        ("url", 5, "must be a text."),
        ("url", "ftp://x", "must start with https://"),
        ("url", "https://127.0.0.1/", "loopback"),
        ("mode", "c", "must be one of a, b."),
        ("mode", ["a"], "must be one of a, b."),
        ("note", "a\0", "holds a control character"),
        ("note", "\ud800", "half of a character"),
        ("note", "x" * 2001, "has 2001 characters; at most 2000 are allowed."),
        ("count", 0, "must lie between 1 and 10."),
        ("count", 2.5, "must be a whole number."),
        ("count", True, "must be a whole number."),
        ("count", "3", "must be a whole number."),
        ("share", float("nan"), "must be a number."),
        ("share", 10**400, "must be a number."),
        ("share", 2**60, "must lie between"),
        ("on", "yes", "must be true or false."),
        ("words", "a", "must be a list of texts."),
        ("words", ["a", ""], "entry 1: can't be empty."),
        ("words", ["a\nb"], "entry 0: holds a line break"),
        ("words", ["a"] * 101, "has 101 entries; at most 100 are allowed."),
        ("kinds", ["z"], "entry 0: must be one of x, y."),
        ("names", ["a"], "must be a JSON object"),
        ("names", {"": "x"}, "a name must be a text"),
        ("names", {"a": 1}, "a: must be a text."),
        ("names", {"a": "123456"}, "a: has 6 characters"),
        ("names", {"a": "1", " a": "2"}, "a is given twice."),
        ("note", None, "can't be null; leave the field out."),
        ("zz", 1, "is not a known field. Known here: url, mode"),
        ("token", "t", "belongs into credentials."),
        ("team", "x", "is only used if mode is b; leave it out."),
    ],
)
def test_a_wrong_value_is_refused_with_the_field_and_the_fix(field: str, value: Any, sentence: str) -> None:
    fields = refused(GOOD | {field: value})
    assert list(fields) == [f"config.{field}"]
    assert sentence in fields[f"config.{field}"][0]


def test_all_wrong_fields_are_named_at_once() -> None:
    assert set(refused({"count": 0, "nonsense": 1}, {"url": "x"})) == {
        "config.url", "config.count", "config.nonsense", "credentials.url", "credentials.token",
    }  # fmt: skip


def test_a_condition_decides_what_is_required_and_what_is_refused() -> None:
    assert refused(GOOD | {"mode": "b"}) == {
        "config.team": ["is required if mode is b."],
        "credentials.key": ["is required if mode is b."],
    }
    assert refused(GOOD, {"token": "t", "key": "k"}) == {"credentials.key": ["is only used if mode is b; leave it out."]}
    config, credentials = validate_values(Acme, GOOD | {"mode": "b", "team": "blue"}, {"token": "t", "key": "k"})
    assert (config["team"], credentials) == ("blue", {"token": "t", "key": "k"})


def test_where_the_condition_itself_is_wrong_only_that_is_said() -> None:
    assert set(refused(GOOD | {"mode": "c", "team": "blue"}, {"token": "t", "key": "k"})) == {"config.mode"}


def test_a_pattern_is_explained_by_an_example() -> None:
    assert refused(GOOD | {"mode": "b", "team": "B1"}, {"token": "t", "key": "k"}) == {
        "config.team": ["does not have the expected form, such as blue."]
    }


@pytest.mark.parametrize("value", [None, [], "x", 5, {1: 2}])
def test_config_and_credentials_are_objects(value: Any) -> None:
    assert set(refused(value)) == {"config"}
    assert set(refused(GOOD, "x")) == {"credentials"}


def test_credentials_left_out_keep_the_stored_ones() -> None:
    stored = {"token": "old", "extra": "e"}
    assert validate_values(Acme, GOOD, {}, stored_credentials=stored)[1] == stored
    assert validate_values(Acme, GOOD, {"token": "new"}, stored_credentials=stored)[1] == {"token": "new", "extra": "e"}


def test_an_optional_credential_is_removed_by_an_empty_one_and_a_required_one_is_not() -> None:
    stored = {"token": "old", "extra": "e"}
    assert validate_values(Acme, GOOD, {"extra": ""}, stored_credentials=stored)[1] == {"token": "old"}
    assert "can't be empty" in refused(GOOD, {"token": ""}, stored_credentials=stored)["credentials.token"][0]
    assert "can't be null" in refused(GOOD, {"extra": None}, stored_credentials=stored)["credentials.extra"][0]


def test_stored_credentials_that_do_not_apply_any_more_go() -> None:
    assert validate_values(Acme, GOOD, {}, stored_credentials={"token": "t", "key": "k", "gone": "x"})[1] == {"token": "t"}


def test_stored_values_whose_condition_ended_go_and_new_ones_are_refused() -> None:
    stored = STORED | {"mode": "b", "team": "blue"}
    config, _ = validate_values(Acme, stored | {"mode": "a"}, {"token": "t"}, stored_config=stored)
    assert config == STORED
    assert set(refused(stored | {"mode": "a", "team": "red"}, stored_config=stored)) == {"config.team"}


def test_a_line_break_pasted_with_a_secret_goes_and_its_blanks_stay() -> None:
    assert validate_values(Acme, GOOD, {"token": " t \r\n"})[1] == {"token": " t "}
    assert "holds a line break" in refused(GOOD, {"token": "a\nb"})["credentials.token"][0]


def test_no_refusal_shows_a_secret() -> None:
    for value in ("s3cret\0", ["s3cret"], "s3cret" * 1000, {"s3cret": 1}):
        with pytest.raises(InvalidInput) as caught:
            validate_values(Acme, GOOD, {"token": value})
        assert "s3cret" not in f"{caught.value!r}{caught.value.fields}"


def test_the_connector_has_the_last_word() -> None:
    assert refused(GOOD | {"note": "bad"}) == {"config.note": ["is bad."], "credentials.token": ["is bad too."]}
    assert refused(GOOD | {"note": "raise"}) == {"config.note": ["was raised."]}


def test_a_blueprint_may_leave_things_out() -> None:
    assert validate_values(Acme, {"mode": "b"}, {}, partial=True) == ({"mode": "b"}, {})
    assert set(refused({"count": 0}, {}, partial=True)) == {"config.count"}


class Told(Destination):
    key = "told"
    title = "Told"
    description = "For tests."
    categories = (Category.SECURITY,)
    fields = (Acme.fields[1],)
    destination_fields = (
        Field("room", "Room", required=True),
        Field("thread", "Thread", only_if=("mode", ("b",)), required=True),
    )

    @classmethod
    def validate_options(cls, options: Any, config: Any) -> dict[str, list[str]]:
        return {"room": ["is full."]} if options["room"] == "full" else {}


def test_options_of_a_webhook_follow_the_same_rules() -> None:
    assert validate_options(Told, {"room": "a"}, config={"mode": "a"}) == {"room": "a"}
    for options, mode, fields in (
        ({"room": "a"}, "b", {"destination.thread": ["is required if mode is b."]}),
        ({"room": "full"}, "a", {"destination.room": ["is full."]}),
        ({}, "a", {"destination.room": ["is required."]}),
        ({"room": "a", "x": 1}, "a", {"destination.x": ["is not a known field. Known here: room, thread."]}),
    ):
        with pytest.raises(InvalidInput) as caught:
            validate_options(Told, options, config={"mode": mode})
        assert caught.value.fields == fields


def test_a_connector_that_takes_no_events_has_no_options() -> None:
    with pytest.raises(InvalidInput) as caught:
        validate_options(Acme, {})
    assert caught.value.code == "no_destination"
