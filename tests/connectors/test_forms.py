"""Form fields from declared fields: what they show, and what they make of what is entered."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from django import forms
from django.http import QueryDict

from integrations.connectors.http.connector import HttpConnector
from integrations.contract.schema import beside_field, form_fields, form_values, validate_values
from tests.connectors.test_values import Acme

PREFIX = "c_"


def form(
    stored: dict[str, Any], data: dict[str, Any] | None = None, secrets: tuple[str, ...] = (), fields: Any = Acme.fields
) -> forms.Form:
    made = type("Made", (forms.Form,), form_fields(fields, stored, secrets=secrets, prefix=PREFIX))
    if data is None:
        return made()
    sent = QueryDict(mutable=True)
    for name, value in data.items():
        sent.setlist(PREFIX + name, value if isinstance(value, list) else [value])
    return made(sent)


def entered(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    filled = form({}, data)
    assert filled.is_valid(), filled.errors
    return form_values(Acme.fields, filled.cleaned_data, prefix=PREFIX)


def test_a_form_shows_what_is_stored_and_defaults_for_the_rest() -> None:
    shown = form({"url": "https://x.example/", "words": ["a", "b"], "names": {"A": "1", "B": "2"}, "kinds": ["y"]}).as_p()
    for text in ('value="https://x.example/"', "a\nb</textarea>", "A: 1\nB: 2</textarea>", 'value="3"'):
        assert text in shown, text
    assert re.search(r'<input type="checkbox" name="c_kinds" value="y"[^>]* checked[ >]', shown)
    assert not re.search(r'name="c_kinds" value="x"[^>]* checked[ >]', shown)
    assert '<option value="a" selected>' in shown


def test_none_of_the_boxes_that_are_checked_by_default_can_be_checked() -> None:
    fields = [replace(field, default=("y",)) for field in Acme.fields if field.name == "kinds"]
    for checked in ([], ["x"]):
        filled = form({}, {"kinds": checked}, fields=fields)
        assert filled.is_valid()
        assert form_values(fields, filled.cleaned_data, prefix=PREFIX) == ({"kinds": checked}, {})


def test_a_stored_secret_is_never_rendered_and_said_to_be_kept() -> None:
    shown = form({"token": "s3cret", "extra": "s3cret"}, secrets=("token",)).as_p()
    assert "s3cret" not in shown
    assert shown.count("kept as it is unless you enter a new one") == 1
    assert 'type="password"' in shown
    assert 'autocomplete="new-password"' in shown


def test_an_entered_secret_is_not_rendered_when_the_form_comes_back() -> None:
    back = form({}, {"token": "s3cret", "count": "x"}).as_p()
    assert "s3cret" not in back
    headers = form({}, {"secret_headers": "A: s3cret", "health_path": "a b"}, fields=HttpConnector.fields)
    assert not headers.is_valid()
    assert "s3cret" not in headers.as_p()


def test_sentences_of_a_form_name_no_condition_and_required_secrets_are_said_to_be() -> None:
    assert beside_field("is required if mode is b.") == "Is required."
    assert beside_field("http:// is accepted only inside.") == "http:// is accepted only inside."
    token = replace(next(field for field in Acme.fields if field.name == "token"), required=True, default=None)
    assert "Required." in form({}, fields=[token]).as_p()
    assert "Required." not in form({}, secrets=("token",), fields=[token]).as_p()
    filled = form({}, {"token": "a b"}, fields=[replace(token, pattern="[a-z]+")])
    assert filled.errors["c_token"] == ["Holds a blank, or a character that can't be in it; copy it anew."]


def test_what_is_entered_becomes_values_of_the_declared_kinds() -> None:
    config, credentials = entered(
        {
            "url": "https://acme.example.com",
            "mode": "b",
            "team": "blue",
            "note": "one\r\ntwo",
            "count": "7",
            "share": "0.5",
            "words": "a\r\n b \r\n\r\n",
            "kinds": ["x", "y"],
            "names": "A: 1:2\r\nB:",
            "token": "t",
            "key": "k",
        }
    )
    assert config == {
        "url": "https://acme.example.com/",
        "mode": "b",
        "team": "blue",
        "note": "one\ntwo",
        "count": 7,
        "share": 0.5,
        "on": False,
        "words": ["a", "b"],
        "kinds": ["x", "y"],
        "names": {"A": "1:2", "B": ""},
    }
    assert credentials == {"token": "t", "key": "k"}
    assert validate_values(Acme, config, credentials) == (config, credentials)


def test_what_does_not_apply_is_left_out_with_what_is_empty() -> None:
    config, credentials = entered({"url": "https://acme.example.com/", "mode": "a", "team": "blue", "note": "", "token": "", "key": "k"})
    assert config == {"url": "https://acme.example.com/", "mode": "a", "on": False}
    assert credentials == {}


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("count", "x", "Must be a whole number."),
        ("count", "99", "Must lie between 1 and 10."),
        ("share", "x", "Must be a number."),
        ("share", "nan", "Must be a number."),
        ("url", "ftp://x", "Must start with https://"),
        ("team", "B1", "Does not have the expected form"),
        ("names", "A", "Line 1 is not of the form Name: value."),
        ("names", "A: 1\nA: 2", "A is given twice."),
        ("mode", "z", "Must be one of a, b."),
        ("words", "123456", "Entry 1: has 6 characters"),
    ],
)
def test_a_wrong_entry_is_explained_beside_its_field(field: str, text: str, sentence: str) -> None:
    filled = form({}, {field: text})
    assert list(filled.errors) == [PREFIX + field]
    assert sentence in filled.errors[PREFIX + field][0]


def test_conditions_and_links_are_in_the_page() -> None:
    shown = form({}).as_p()
    assert 'data-only-if="c_mode"' in shown
    assert 'data-only-if-values="b"' in shown


def test_sending_a_form_back_unchanged_changes_nothing() -> None:
    stored = validate_values(Acme, {"url": "https://x.example/", "words": ["a"], "names": {"A": "1"}, "on": True}, {"token": "t"})[0]
    page = form(stored, secrets=("token",))
    data = {name: page[name].value() for name in page.fields if page[name].value() not in (None, False)}
    back = type(page)(data)
    assert back.is_valid(), back.errors
    assert form_values(Acme.fields, back.cleaned_data, prefix=PREFIX) == (stored, {})
    fields = {name: field for name, field in page.fields.items() if name in data}
    assert not [name for name, field in fields.items() if field.has_changed(field.initial, data[name])]
