"""Commands in the other pages that call the API: the operation exists, and takes the fields and parameters that they send."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from drf_spectacular.generators import SchemaGenerator

from tests.everything import ROOT
from tests.repoguard.api_pages import INDEX, operation_of

pytestmark = pytest.mark.once
PAGES = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page != INDEX)]  # which is run
_BODIES = {"-d", "--data", "--data-binary", "-F"}


@dataclass
class Command:
    """What one curl would send."""

    place: str
    words: list[str]

    @property
    def url(self) -> str:
        found = next((word for word in self.words if "/api/" in word or re.match(r"\$(API|BASE)/", word)), "")
        return re.sub(r"^(https?://)?[^/]*/(api/)?(v1/)?", "http://portal/api/v1/", found) if found else ""

    @property
    def method(self) -> str:
        if "-X" in self.words:
            return self.words[self.words.index("-X") + 1]
        return "POST" if _BODIES & set(self.words) else "GET"

    @property
    def fields(self) -> set[str]:
        text = self.words[self.words.index("-d") + 1] if "-d" in self.words else "{}"
        return set(json.loads(text)) if text.startswith("{") else set()


def commands() -> Iterator[Command]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.finditer(r"^```(?:sh|console)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            for found in re.finditer(r"(?:^|\$ |\()curl ", block[1], re.MULTILINE):
                line = text.count("\n", 0, block.start(1) + found.start()) + 1
                yield Command(f"{page.relative_to(ROOT)}:{line}", _words(block[1][found.end() :]))


def _words(text: str) -> list[str]:
    """Return the words up to the end of the command: lines are taken until quotes are closed and nothing goes on."""
    taken = ""
    for line in text.splitlines():
        taken += line
        if not line.endswith("\\"):
            try:
                return shlex.split(taken, comments=True)
            except ValueError:  # an open quote
                taken += "\n"
                continue
        taken = taken[:-1] + " "
    raise AssertionError(f"this command has no end: {text[:100]}")


def properties(schema: dict[str, Any], components: dict[str, Any]) -> set[str]:
    """Return the fields that a schema has, in whatever it is made of."""
    if "$ref" in schema:
        return properties(components[schema["$ref"].rpartition("/")[2]], components)
    parts = [one for kind in ("allOf", "oneOf", "anyOf") for one in schema.get(kind, [])]
    return set(schema.get("properties", {})).union(*(properties(part, components) for part in parts))


@pytest.mark.django_db
def test_every_command_calls_what_exists_with_what_it_takes() -> None:
    document = SchemaGenerator().get_schema(request=None, public=True)
    known = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    wrong, seen = [], 0
    for command in commands():
        if not command.url or "/api/v1/webhook/" in command.url or "/api/schema" in command.url:
            continue
        seen += 1
        parts = urlsplit(command.url)
        operation = operation_of(command.method, parts.path.replace("$ID", "x"), known)
        if operation not in known:
            wrong.append(f"{command.place}: there is no {operation}")
            continue
        described = document["paths"][operation[1]][operation[0].lower()]
        sent = described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        unknown = command.fields - properties(sent, document["components"]["schemas"])
        unknown |= {name for name, _ in parse_qsl(parts.query)} - {one["name"] for one in described.get("parameters", [])}
        wrong += [f"{command.place}: {operation} takes no {', '.join(sorted(unknown))}"] if unknown else []
    assert not wrong, "\n".join(wrong)
    assert seen > 30
