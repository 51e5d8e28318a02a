"""Templates that try to get out, or to take more than there is. Run by themselves they attack in a process with little memory and time."""

from __future__ import annotations

import resource
import sys
from typing import Any

from templates_app.engine import parse, render
from templates_app.rendering.meter import Meter, TemplateRefused
from templates_app.rendering.writers import Style

MEGABYTE = 1024 * 1024
DATA: dict[str, Any] = {
    "x": {"a": 1, "list": list(range(300)), "text": "word " * 2000},
    "large": [{"n": [{"n": number} for number in range(5000)]}],
    "copy": [{"n": [{"n": number} for number in range(5000)]}],
    "many": [{"n": number, "t": "t" * 50} for number in range(5000)],
}
_DOUBLE = "{% assign s = s | append: s %}"
# two long texts that differ at their end, each in a list a few thousand times
_ALIKE = (
    "{% assign s = x.text %}" + _DOUBLE * 5 + '{% assign a = s | append: "1" | split: "#" %}{% assign b = s | append: "2" | split: "#" %}'
    "{% assign l = a | concat: b %}" + "{% assign l = l | concat: l %}" * 12
)
# two lists that hold the same large objects a few thousand times, each its own copies
_LARGE = "{% assign l = large %}{% assign m = copy %}" + "{% assign l = l | concat: l %}{% assign m = m | concat: m %}" * 12
REFUSED: dict[str, str] = {
    # too much
    "endless range": "{% for i in (1..1000000000) %}x{% endfor %}",
    "endless range, reversed": "{% for i in (1..1000000000) reversed %}x{% endfor %}",
    "range of ranges": "{% for i in (-99999999999999999999..99999999999999999999) limit: 2 %}x{% endfor %}",
    "range kept": "{% assign r = (1..1000000000) %}{{ r | join }}",
    "range searched": '{% if (1..1000000000) contains "x" %}{% endif %}',
    "range joined": "{{ (1..1000000000) | join }}",
    "nested loops": "{% for i in (1..9000) %}{% for j in (1..9000) %}{% endfor %}{% endfor %}",
    "nested loops, silent": "{% for i in (1..200) %}{% for j in (1..200) %}{% assign a = j %}{% endfor %}{% endfor %}",
    "loop with many steps": "{% for i in (1..9000) %}" + "{{ x.a }}" * 20 + "{% endfor %}",
    "doubling by append": '{% assign s = "0123456789" %}' + _DOUBLE * 60,
    "doubling by append, in a loop": '{% assign s = "0123456789" %}{% for i in (1..60) %}' + _DOUBLE + "{% endfor %}",
    "doubling by capture": "{% for i in (1..60) %}{% capture s %}{{ s }}{{ s }}x{% endcapture %}{% endfor %}",
    "doubling by join": "{% assign s = x.list | join: x.text %}{% assign t = x.list | join: s %}",
    "doubling by replace": '{% assign s = x.text | replace: "o", x.text %}',
    "doubling lists": "{% assign l = many %}{% for i in (1..60) %}{% assign l = l | concat: l %}{% endfor %}",
    "the same text again and again as JSON": "{% assign l = x.text | split: ' ' %}{% for i in (1..9000) %}{{ l | json }}{% endfor %}",
    "many large texts kept": "".join(f"{{% assign v{n} = x.text | append: '{n}' | replace: 'w', '0123456789' %}}" for n in range(900)),
    "sort of much in a loop": "{% for i in (1..9000) %}{% assign s = many | sort: 't' | reverse %}{% endfor %}",
    "sort of long texts that begin alike": _ALIKE + "{% assign s = l | sort %}",
    "long texts that begin alike, searched": _ALIKE + '{% assign c = s | append: "3" %}{% if l contains c %}{% endif %}',
    "long texts that begin alike, filtered": _ALIKE + '{% assign c = s | append: "3" %}{% assign m = l | where: "n", c %}',
    "one large list compared again and again": _LARGE + "{% if l == m %}{% endif %}",
    "one large list compared by case": _LARGE + "{% case l %}{% when m %}{% endcase %}",
    "large lists searched": _LARGE + "{% if l contains m %}{% endif %}",
    "large lists filtered": _LARGE + '{% assign n = l | where: "n", m %}',
    "a large list looked for in a text": _LARGE + '{% if "x" contains l %}{% endif %}',
    "uniq of much in a loop": "{% for i in (1..9000) %}{% assign s = many | uniq %}{% endfor %}",
    "split into letters": "{% assign s = x.text | append: x.text | split: '' %}",
    "wide date": '{{ "2026-01-01" | date: "%999999999Y" }}',
    "padded date": '{{ "2026-01-01" | date: "%_99999999d" }}',
    "long date": '{{ "2026-01-01" | date: "' + "%A" * 200 + '" }}',
    "huge product": "{{ 99999999999 | times: 99999999999 }}",
    "power by a loop": "{% assign n = 9 %}{% for i in (1..90) %}{% assign n = n | times: n %}{% endfor %}",
    "chain of base64_encode": "{{ x.text" + " | base64_encode" * 12 + " }}",
    "no number": '{{ "nan" | plus: 1 }}',
    "deep blocks": "{% if x %}" * 40 + "{% endif %}" * 40,
    "deep names": "{{ x" + "[x" * 600 + "]" * 600 + " }}",
    "deep condition": "{% if " + "x and " * 2000 + "x %}{% endif %}",
    "many pieces": "{{x}}" * 12_000,
    "large source": "x" * 65_537,
    # what makes scanners slow
    "openings in a comment": "{% comment %}" + "{{ " * 20_000,
    "openings": "{{ " * 20_000,
    "raw without an end": "{% raw %}" * 7000,
    "brackets": "{{ " + "(" * 990 + " }}",
    "quotes": "{{ " + "['" * 490 + " }}",
    # other ways out
    "include": "{% include 'secrets' %}",
    "render": "{% render 'secrets' %}",
    "extends": "{% extends 'base' %}{% block a %}{% endblock %}",
    "liquid": "{% liquid\n assign a = 1 %}",
    "unknown filter": "{{ x | system }}",
    "unknown tag": "{% import os %}",
    "break": "{% break %}",
    "loop object": "{% for i in x.list %}{{ forloop }}{% endfor %}",
    "backslash": '"\\{{ x.a }}"',
    "raw in raw": "{% raw %}{% endraw %}{% endraw %}",
}
EMPTY = (
    "{{ x.__class__.__mro__ }}", "{{ x['__class__']['__init__']['__globals__'] }}", "{{ x.list.__len__ }}", "{{ x.keys }}",
    "{{ x.text.format }}", "{{ x.list.append }}", "{{ self }}", "{{ context }}", "{{ environment }}",
    "{{ now }}", "{{ today }}", "{{ x.text.first }}",
    "{{ x.list[99999999999999999999] }}", "{{ x[x] }}", "{{ x.a.b.c }}", "{{ x.text[0] }}",
)  # fmt: skip
"""What is not there; written as null."""


def outcome(source: str) -> tuple[str, Meter]:
    """Return what a template makes, or how it is refused, and what it cost."""
    meter = Meter(seconds=60)  # the counts must do, not the clock
    try:
        return render(parse(source, Style.JSON), DATA, meter=meter), meter
    except TemplateRefused as error:
        return f"refused: {error.message}", meter


def main() -> int:
    """Attack with 40 MB beyond what the process has now, and 20 s of computing for all attacks together."""
    with open("/proc/self/statm", encoding="ascii") as file:
        size = int(file.read().split()[0]) * resource.getpagesize() + 40 * MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
    for name, source in REFUSED.items():
        if not outcome(source)[0].startswith("refused: "):
            sys.stdout.write(f"not refused: {name}\n")
            return 1
    sys.stdout.write("all refused\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
