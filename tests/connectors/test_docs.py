"""docs/connectors.md shows the connectors as they are declared."""

from __future__ import annotations

import os

from integrations import registry
from integrations.contract.describe import CAPABILITIES
from integrations.contract.reference import reference
from tests.everything import ROOT

START = "<!-- What follows is held against the code by a test; UPDATE_DOCS=1 rewrites it. -->\n"


def test_the_page_shows_every_connector_as_it_is_declared() -> None:
    path = ROOT / "docs" / "connectors.md"
    before, _, sections = path.read_text(encoding="utf-8").partition(START)
    made = reference(registry.CONNECTORS)
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(f"{before}{START}\n{made.strip()}\n", encoding="utf-8")
        return
    assert sections.strip() == made.strip(), "run this test with UPDATE_DOCS=1 to rewrite the page"


def test_every_field_and_capability_is_on_it() -> None:
    made = reference(registry.CONNECTORS)
    for connector in registry.CONNECTORS:
        assert f"## {connector.title}" in made
        assert all(f"| `{field.name}`" in made for field in connector.fields)
    assert all(name in made for name, (base, _) in CAPABILITIES.items() if registry.with_capability(base))
