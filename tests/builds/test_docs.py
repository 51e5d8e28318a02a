"""docs/builds.md says what the code does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User

from builds.api.build_serializers import ReportBuildSerializer
from builds.events import EVENT_TYPES
from builds.importing.columns import ALIASES
from builds.statuses import WORDS
from tests.access.keys import client_of
from tests.everything import ROOT

PAGE = (ROOT / "docs" / "builds.md").read_text()


def rows(heading: str) -> dict[str, list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {cells[0].strip().strip("`"): cells[1:] for cells in lines}


def test_it_names_every_status_with_its_words() -> None:
    assert {name: tuple(re.findall(r"`(\w+)`", cells[0])) for name, cells in rows("Statuses").items()} == {
        status.value: words for status, words in WORDS.items()
    }


def test_it_maps_every_field() -> None:
    found = rows("Where each field comes from")
    assert set(found) == {*ReportBuildSerializer().fields}
    for name, aliases in ALIASES.items():
        columns = [alias for alias in aliases if alias.startswith(("tr_", "gh_", "git_"))]
        assert re.findall(r"`((?:tr|gh|git)_\w+)`", found[name][1]) == columns, name


def test_it_names_every_event() -> None:
    assert set(rows("Events")) == {one.name for one in EVENT_TYPES if one.name.startswith("build.")}


@pytest.mark.django_db
@pytest.mark.once
def test_its_example_works(alice: User) -> None:
    body: Any = re.search(r"/api/v1/builds -d '(.*?)'\n```", PAGE, re.DOTALL)
    answer = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert answer
    assert client_of(alice).post("/api/v1/builds", json.loads(body[1]), format="json").json() == json.loads(answer[1])
