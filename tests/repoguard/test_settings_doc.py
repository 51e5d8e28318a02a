"""What is documented exists, and what exists is documented."""

from __future__ import annotations

import os
import re
from pathlib import Path

from repoguard.settings import ENV
from tests.everything import ROOT

START = "<!-- The table is held against the code by a test; UPDATE_DOCS=1 rewrites it. -->\n"


def test_the_settings_page_shows_every_setting_as_the_code_has_it() -> None:
    path = ROOT / "docs" / "settings.md"
    before, _, table = path.read_text().partition(START)
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(f"{before}{START}\n{ENV.table()}")
        return
    assert table.strip() == ENV.table().strip(), "run this test with UPDATE_DOCS=1 to rewrite the table"


def test_every_setting_has_a_meaning() -> None:
    assert [setting.name for setting in ENV.documented.values() if len(setting.help) < 10] == []


def test_the_example_has_every_setting_and_no_other() -> None:
    names = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert {name.removesuffix("_FILE") if name.removesuffix("_FILE") in ENV.documented else name for name in names} == set(ENV.documented)


def test_the_example_sets_nothing_by_itself() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_settings_are_read_in_one_place() -> None:
    """Only settings.py asks for settings; other code that reads the environment is about processes."""
    allowed = {"repoguard/env.py", "repoguard/keys.py", "repoguard/wsgi.py", "manage.py"}
    apps = ("repoguard", "core", "access", "integrations", "templates_app", "webhooks", "scans", "builds")
    asks = {
        str(path.relative_to(ROOT))
        for app in apps
        for path in Path(ROOT / app).rglob("*.py")
        for name in re.findall(r"(?:os\.environ(?:\.get)?[\[(]|os\.getenv\()\"([A-Z_]+)\"", path.read_text())
        if name in ENV.documented
    }
    # the container's health check starts every few seconds, too often to load Django
    assert asks <= allowed | {"core/supervisor/alive.py"}
