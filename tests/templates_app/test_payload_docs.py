"""docs/payload-templates.md names the filters, limits and variables there are."""

from __future__ import annotations

import os
import re

import pytest

from core.event_types import catalogue
from templates_app.payloads.selectors import LIMITS
from templates_app.payloads.variables import variables
from templates_app.rendering.filters import FILTERS
from tests.everything import ROOT

pytestmark = pytest.mark.once
PAGE = ROOT / "docs" / "payload-templates.md"
START = "<!-- What follows is held against the code by a test; UPDATE_DOCS=1 rewrites it. -->\n"
_WORDS = {
    "source_bytes": "bytes of a template",
    "output_bytes": "bytes that it makes, and characters of any text on the way",
    "loop_turns": "turns of all its loops together",
    "list_items": "items of a list that is looped over or filtered",
    "steps": "tags, variables and filters that are worked off",
    "made_characters": "characters that filters and captures make in all",
    "seconds": "seconds of computing, as the last resort",
}


def middle() -> str:
    filters = ", ".join(f"`{name}`" for name in sorted(FILTERS))
    rows = "\n".join(f"| {LIMITS[name]:,} | {words} |" for name, words in _WORDS.items())
    assert _WORDS.keys() == LIMITS.keys()
    return f"Filters: {filters}.\n\n| at most | |\n|---|---|\n{rows}\n"


def end() -> str:
    found = [one for one in variables(catalogue.types["gate.failed"]) if not one.name.startswith("data.")]
    rows = [f"| `{one.name}` | {one.type} | {one.description} |" for one in found]
    return "\n".join(["| variable | | |", "|---|---|---|", *rows]) + "\n"


def test_the_page_shows_filters_limits_and_variables() -> None:
    text = PAGE.read_text(encoding="utf-8")
    made = re.sub(
        r"<!-- filters and limits -->\n.*?(?=\nWho reaches)", lambda _: f"<!-- filters and limits -->\n\n{middle()}", text, flags=re.DOTALL
    )
    made = made.partition(START)[0] + START + "\n" + end()
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(made, encoding="utf-8")
        return
    assert text == made, "run this test with UPDATE_DOCS=1 to rewrite the page"
