from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from templates_app.placeholders import fill, leaves, leftover, names_in, whole

unhurried = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
TEXTS = st.text(max_size=40)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS.filter(lambda text: "{{" not in text),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)


def test_strings_are_filled_and_whole_ones_keep_their_type():
    blueprint = {"url": "{{ base }}/x?y={{n}}", "n": "{{ n }}", "list": ["{{ list }}", "a"], "flag": "{{ flag }}"}
    filled = fill(blueprint, {"base": "https://a.example", "n": 3, "list": ["b"], "flag": False})
    assert filled == {"url": "https://a.example/x?y=3", "n": 3, "list": [["b"], "a"], "flag": False}


def test_what_is_not_there_is_left_out():
    assert fill({"a": "{{ x }}", "b": ["{{ x }}", 1], "c": "to {{ x }}!"}, {}) == {"b": [1], "c": "to !"}


def test_names_that_are_none_are_found():
    assert [leftover(text) for text in ("{{ X }}", "{{ 1x }}", "{{", "{{ a.b }}", "{{  a }}", "{{ a|b }}")] == [True] * 6
    assert not any(leftover(text) for text in ("{{ a }}", "{{a}}", "{ a }", "}}", "query { a { b } }"))


def test_places_are_named_by_dotted_paths():
    assert list(leaves({"a": ["x", {"b": "y"}], "c": 1})) == [("a.0", "x"), ("a.1.b", "y")]


@unhurried
@given(PLAIN, st.dictionaries(st.sampled_from(["a", "b"]), VALUES))
def test_what_names_nothing_stays_as_it_is(blueprint, values):
    assert fill(blueprint, values) == blueprint


@unhurried
@given(VALUES)
def test_a_value_never_becomes_anything_but_itself(value):
    assert fill({"config": {"x": "{{ a }}"}, "credentials": "{{ b }}"}, {"a": value, "b": "{{ a }}"}) == {
        "config": {"x": value},
        "credentials": "{{ a }}",
    }


@unhurried
@given(TEXTS)
def test_a_text_within_a_text_makes_no_other_field(text):
    filled = fill(json.loads('{"a": "x{{ v }}y", "b": 1}'), {"v": text})
    assert filled == {"a": f"x{text}y", "b": 1}


@unhurried
@given(TEXTS)
def test_a_string_that_is_whole_names_exactly_one_value(text):
    if whole(text) is not None:
        assert names_in(text) == [whole(text)]
