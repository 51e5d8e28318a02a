from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from templates_app.engine import parse, render
from templates_app.rendering.meter import MAX_ITEMS, MAX_LOOPS, MAX_MADE, MAX_OUTPUT, MAX_STEPS, Meter, TemplateRefused
from templates_app.rendering.scanner import scan
from templates_app.rendering.writers import Style
from tests.templates_app.attacks import EMPTY, REFUSED, outcome

pytestmark = pytest.mark.once
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=10,
)


def made(source: str, style: Style = Style.JSON, **values: Any) -> str:
    return render(parse(source, style), values)


def test_attacks_are_refused_within_the_bounds() -> None:
    for name, source in REFUSED.items():
        said, meter = outcome(source)
        assert said.startswith("refused: "), name
        assert meter.loops <= MAX_LOOPS + 1, name
        assert meter.made <= MAX_MADE + MAX_OUTPUT, name
        assert meter.steps <= MAX_STEPS + MAX_ITEMS, name  # beyond a bound by one step of work at most


def test_the_turns_of_nested_loops_count_together() -> None:
    said, meter = outcome("{% for i in (1..20) %}{% for j in (1..30) %}{% endfor %}{% endfor %}")
    assert (said, meter.loops) == ("", 20 + 20 * 30)
    assert "turns in all" in outcome(REFUSED["nested loops"])[0]


def test_no_attack_takes_memory_or_time() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.templates_app.attacks"], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "all refused\n"), done.stderr[-2000:]


def test_there_are_no_attributes_and_no_surroundings() -> None:
    assert {source: outcome(source)[0] for source in EMPTY} == dict.fromkeys(EMPTY, "null")


def test_the_clock_is_the_last_resort() -> None:
    with pytest.raises(TemplateRefused, match="s of computing"):
        render(parse("{% for i in (1..9000) %}{{ i }}{% endfor %}", Style.TEXT), {}, meter=Meter(seconds=0))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=_JSON, name=st.text())
def test_values_stay_values_whatever_they_hold(value: Any, name: str) -> None:
    source = '{"inside": "<{{ name }}>", "bare": {{ value }}, "filtered": {{ value | json }}, "text": "{{ value | json }}"}'
    told = json.loads(made(source, name=name, value=value).encode("utf-8", "replace"))
    assert told.keys() == {"inside", "bare", "filtered", "text"}
    if "\ud800" not in json.dumps([name, value], ensure_ascii=False) and not any("\ud800" <= c <= "\udfff" for c in name + str(value)):
        assert (told["inside"], told["bare"], told["filtered"], json.loads(told["text"])) == (f"<{name}>", value, value, value)


def test_the_place_decides_also_through_branches_loops_and_captures() -> None:
    source = (
        '{% capture said %}He said "{{ x }}"{% endcapture %}{"a": "{% if x %}{{ x }}\\"{% endif %}", "b": {{ said }}, "c": "{{ said }}",'
        ' "d": [{% for i in l %}{{ i }}{% unless forloop.last %}, {% endunless %}{% endfor %}],'
        ' "e": {{ nothing.there }}, "f": "{{ nothing }}"}'
    )
    told = json.loads(made(source, x='q"', l=[1, "two", {"k": None}]))
    said = 'He said "q""'
    assert told == {"a": 'q""', "b": said, "c": said, "d": [1, "two", {"k": None}], "e": None, "f": ""}


@pytest.mark.parametrize(
    ("style", "written"),
    [
        (Style.TEXT, 'a "b" <c>\n&é'),
        (Style.XML, "a &quot;b&quot; &lt;c&gt;\n&amp;é"),
        (Style.FORM, "a+%22b%22+%3Cc%3E%0A%26%C3%A9"),
        (Style.HEADER, 'a "b" <c> &é'),
        (Style.PATH, "a%20%22b%22%20%3Cc%3E%0A%26%C3%A9"),
    ],
)
def test_values_are_written_for_their_place(style: Style, written: str) -> None:
    assert made("{{ x }}", style, x='a "b" <c>\n&é') == written


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ t | upcase | truncate: 8 }}", "HELLO..."),
        ("{{ t | split: ' ' | reverse | join: '-' }}", "world-hello"),
        ("{{ l | where: 'n', 2 | map: 't' | first }}", "b"),
        ("{{ l | sort: 'n' | map: 'n' | json }}", "[1, 2, 3]"),
        ("{{ l | sum: 'n' | times: 2 | plus: 1 | divided_by: 4 }}", "3"),
        ("{{ l | map: 'n' | uniq | size }}", "3"),
        ("{{ '2026-11-20T09:30:00+02:00' | date: '%d.%m.%Y %H:%M' }}", "20.11.2026 07:30"),
        ("{{ nothing | default: 'none' }}", "none"),
        ("{%- if t contains 'wor' and l.size > 2 -%} yes {%- endif -%}", "yes"),
        ("{% case l[0].n %}{% when 1 %}one{% when 3 %}three{% endcase %}", "three"),
        ("{% raw %}{{ t }}{% endraw %}{% comment %}{{ broken{% endcomment %}{% # so %}", "{{ t }}"),
        ("{% for p in o %}{{ p[0] }}={{ p[1] }};{% else %}none{% endfor %}", "k=v;"),
        ("{% for i in (1..9) limit: 2 offset: 3 reversed %}{{ i }}{% if forloop.first %}{% continue %}{% endif %}.{% endfor %}", "54."),
    ],
)
def test_the_language(source: str, expected: str) -> None:
    values = {"t": "hello world", "l": [{"n": 3, "t": "a"}, {"n": 2, "t": "b"}, {"n": 1, "t": "c"}], "o": {"k": "v"}}
    assert made(source, Style.TEXT, **values) == expected


@pytest.mark.parametrize(
    ("source", "line", "column", "sentence"),
    [
        ("a\nb {{ x", 2, 3, "never closed"),
        ("{{ x }}\n {% if %}{% endif %}", 2, 2, "expression"),
        ("{{ x | truncat: 5 }}", 1, 8, "no filter truncat"),
        ("\n\n{% for i x %}{% endfor %}", 3, 10, ""),
        ("{% if x %}", 1, None, ""),
        ("{{ }}", 1, 1, "nothing between"),
    ],
)
def test_errors_say_where(source: str, line: int, column: int | None, sentence: str) -> None:
    with pytest.raises(TemplateRefused) as refused:
        parse(source, Style.TEXT)
    if column is not None:
        assert (refused.value.line, refused.value.column) == (line, column)
    assert sentence.lower() in refused.value.message.lower()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pieces=st.lists(st.sampled_from(["{{", "}}", "{%", "%}", "-", " if ", "endif", " x ", "|", "raw", "endraw", "comment", '"', "\n"])))
def test_any_text_is_read_or_refused(pieces: list[str]) -> None:
    source = "".join(pieces)
    with contextlib.suppress(TemplateRefused):  # anything else fails the test
        made(source, Style.TEXT, x="1")
        assert all(source.startswith(piece.text, piece.at) for piece in scan(source) if piece.kind.value == "text")


def test_what_a_template_uses_is_known() -> None:
    parsed = parse(
        "{% assign mine = data.a %}{{ mine }}{% for f in message.findings %}{{ f.title }}{% endfor %}{{ event[data.k].x }}", Style.TEXT
    )
    assert {used.name for used in parsed.used} == {"data.a", "message.findings", "event", "data.k"}
    assert parsed.roots == {"data", "message", "event"}
