"""docs/api.md and docs/api/, as the commands that they hold and what they say about each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.everything import ROOT

INDEX = ROOT / "docs" / "api.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ANSWER = re.compile(r"^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADERS = re.compile(r"^```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_VARIABLE = re.compile(r"`\$([A-Z_]+)` is its `([\w.]+)`")
TABLE = "<!-- Held against the commands by a test; UPDATE_DOCS=1 rewrites it. -->\n"
WORKERS = "<!-- the workers have run -->"


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass
class Example:
    """One command, the section it stands in, and what the text behind it promises."""

    place: str
    page: Path
    heading: str
    command: str
    after_workers: bool
    status: int | None
    answer: str | None
    headers: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


def pages() -> list[Path]:
    """Return the index, then the pages in the order in which it links them first."""
    linked = re.findall(r"\]\((api/\w+\.md)\)", INDEX.read_text(encoding="utf-8"))
    return [INDEX, *(INDEX.parent / name for name in dict.fromkeys(linked))]


def examples(page: Path) -> Iterator[Example]:
    """Return the commands of a page in order."""
    text = page.read_text(encoding="utf-8")
    found = list(_BLOCK.finditer(text))
    for place, block in enumerate(found):
        following = found[place + 1].start() if place + 1 < len(found) else len(text)
        said = text[block.end() : following].partition("\n#")[0].partition(WORKERS)[0]
        before = text[found[place - 1].end() if place else 0 : block.start()]
        heading = re.findall(r"^#+ (.*)$", text[: block.start()], re.MULTILINE)[-1]
        status, answer, headers = re.search(r"\*\*(\d{3})\*\*", said), _ANSWER.search(said), _HEADERS.search(said)
        yield Example(
            f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, block.start()) + 1}", page, heading, block[1], WORKERS in before,
            int(status[1]) if status else None, answer[1] if answer else None,
            re.findall(r"^[\w-]+(?=:)", headers[1], re.MULTILINE) if headers else [], dict(_VARIABLE.findall(said)),
        )  # fmt: skip


def read_answer(text: str) -> Any:
    """Read JSON in which `…` stands for what is left out."""
    text = re.sub(r",\s*…\s*([}\]])", r"\1", text)
    return json.loads(text.replace("{…}", "{}").replace("[…]", '["…"]'))


def unlike(shown: Any, real: Any, path: str = "answer") -> list[str]:
    """Return where a real answer is not as it is shown: what is shown must be there, and more may be."""
    if isinstance(shown, dict) and isinstance(real, dict):
        missing = [f"{path}.{name} is not there" for name in shown if name not in real]
        return missing + [one for name in shown if name in real for one in unlike(shown[name], real[name], f"{path}.{name}")]
    if isinstance(shown, list) and isinstance(real, list):
        if shown == ["…"]:
            return []
        if len(shown) > len(real):
            return [f"{path} has {len(real)} entries"]
        return [one for place, value in enumerate(shown) for one in unlike(value, real[place], f"{path}.{place}")]
    if isinstance(shown, str) and isinstance(real, str) and _alike(shown, real):
        return []
    if isinstance(shown, float) and isinstance(real, float):
        return []
    return [] if shown == real and type(shown) is type(real) else [f"{path} is {real!r}, and shown as {shown!r}"]


# values that differ from run to run: one kind stands for itself
_KINDS = (
    re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
    re.compile(r"[0-9a-f]{32,64}"),
    re.compile(r"\d{4}-\d\d-\d\d"),
)


def _alike(shown: str, real: str) -> bool:
    if any(kind.fullmatch(shown) and kind.fullmatch(real) for kind in _KINDS):
        return True
    return re.fullmatch(".*".join(map(re.escape, shown.split("…"))), real, re.DOTALL) is not None


def table_of(shown: Mapping[tuple[str, str], Example]) -> str:
    """Return a row for each path, with a link to the section of each of its methods."""
    methods: dict[str, list[str]] = {}
    for method, path in sorted(shown, key=lambda one: (one[1], _METHODS.index(one[0]))):
        example = shown[method, path]
        anchor = re.sub(r"[^\w -]", "", example.heading.lower()).replace(" ", "-")
        page = "" if example.page == INDEX else example.page.relative_to(INDEX.parent).as_posix()
        methods.setdefault(path.removeprefix("/api/v1"), []).append(f"[{method}]({page}#{anchor})")
    rows = "".join(f"| `{path}` | {' '.join(links)} |\n" for path, links in methods.items())
    return f"| path | methods |\n| --- | --- |\n{rows}"


def operation_of(method: str, path: str, known: set[tuple[str, str]]) -> tuple[str, str]:
    """Return the operation that a call was one of; a route without a variable goes before one with."""
    found = [
        (wanted, route)
        for wanted, route in known
        if wanted == method and re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route)), path.rstrip("/"))
    ]
    return min(found, key=lambda operation: operation[1].count("{"), default=(method, path))
