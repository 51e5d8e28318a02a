"""What is documented exists, and what exists is documented."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from core.event_types import catalogue, reference
from core.http.custom_headers import FORBIDDEN, FORBIDDEN_PREFIXES
from tests.webhooks.engine_kit import reply
from webhooks.choices import Outcome
from webhooks.engine.judge import judge
from webhooks.engine.types import Verdict
from webhooks.filters import OPERATORS, check_filter, matches
from webhooks.retry import DEFAULT_SCHEDULE
from webhooks.secrets import new_secret

DOCS = Path(__file__).parents[2] / "docs"
START = "<!-- The types are held against the catalogue by a test; UPDATE_DOCS=1 rewrites them. -->\n"


def _page(name: str = "webhooks.md") -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", _page(), re.DOTALL)


def test_the_events_page_shows_every_type_as_the_catalogue_has_it() -> None:
    path = DOCS / "events.md"
    before, _, types = path.read_text(encoding="utf-8").partition(START)
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(f"{before}{START}\n{reference(catalogue.all())}", encoding="utf-8")
        return
    assert types.strip() == reference(catalogue.all()).strip(), "run this test with UPDATE_DOCS=1 to rewrite the page"


def test_the_page_names_every_operator_and_no_other() -> None:
    assert set(re.findall(r"`(\$[a-zA-Z]+)`", _page())) == {*OPERATORS, "$and", "$or"}


def test_the_page_names_every_forbidden_header() -> None:
    named = set(re.findall(r"`([a-z0-9-]+)\*?`", _page()))
    assert named >= FORBIDDEN
    assert {prefix for prefix in FORBIDDEN_PREFIXES if prefix != ":"} <= named


def test_the_page_shows_the_default_schedule() -> None:
    assert f"`{[int(delay) for delay in DEFAULT_SCHEDULE]}`" in _page()


def _judged(answer: str, status: int) -> Verdict:
    asked = {"retry_after": 7.0} if "with `Retry-After`" in answer else {}
    return judge(reply(status, **asked), step=1, schedule=(3600.0,), random=lambda: 0.5)


def test_the_page_says_what_an_answer_means() -> None:
    rows = re.findall(r"^\| (\S[^|]*) \| ([^|]+) \|$", _page().partition("## What an answer means")[2].partition("## Limits")[0], re.M)[1:]
    outcomes = {"success": Outcome.SUCCESS, "tried again": Outcome.RETRY, "the same": Outcome.RETRY}
    seen = set()
    for answer, consequence in rows:
        expected = next((outcome for words, outcome in outcomes.items() if consequence.startswith(words)), Outcome.FAILED)
        for status in map(int, re.findall(r"\b\d{3}\b", answer.replace("any other 4xx", "404").replace("xx", "00"))):
            verdict = _judged(answer, status)
            seconds = re.search(r"(\d+) seconds", consequence)
            hold = (float(seconds[1]) if seconds else 7.0) if "held" in consequence else None
            assert (status, verdict.outcome, verdict.hold, verdict.gone) == (status, expected, hold, "disabled" in consequence)
            seen.add(status)
    assert seen == {200, 300, 404, 408, 410, 425, 429, 500, 502, 503, 504}
    assert _judged("", 503).hold is None


FILTERS = [json.loads(block) for block in _blocks("json") if block.startswith('{"')] if (DOCS / "webhooks.md").exists() else []


@pytest.mark.parametrize("condition", FILTERS)
def test_every_filter_on_the_page_is_valid_and_matches_its_example(condition: dict[str, Any]) -> None:
    example = catalogue.types["finding.opened"].example
    body = {"id": "x", "type": "finding.opened", "timestamp": "x", "data": example}
    assert matches(check_filter(condition), body)


BODY = '{"id":"x","type":"custom.a","timestamp":"2026-11-20T09:30:00.000Z","data":{"text":"ü $HOME `x`"}}'.encode()


def _signed(secret: str, moment: float) -> dict[str, str]:
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(moment, UTC)
    return {"id": "msg-1", "timestamp": str(int(moment)), "signature": Verifier(secret).sign("msg-1", at, BODY.decode())}


def _run(command: list[str], source: Path, secret: str, headers: dict[str, str], body: bytes) -> bool:
    arguments = [secret, headers["id"], headers["timestamp"], headers["signature"]]
    done = subprocess.run([*command, str(source), *arguments], input=body, capture_output=True, timeout=120, check=False)
    assert done.returncode in (0, 1), done.stderr.decode()
    return done.returncode == 0


PROGRAMS = {
    "python": ([sys.executable], "verify.py"),
    "bash": (["bash"], "verify.sh"),
    "js": (["node"], "verify.js"),
    "go": (["go", "run"], "main.go"),
}


@pytest.mark.parametrize("language", ["python", "bash"])
def test_the_verifiers_on_the_page_accept_what_is_signed_and_nothing_else(language: str, tmp_path: Path) -> None:
    _try_verifier(language, tmp_path)


@pytest.mark.parametrize("language", [name for name in ("js", "go") if shutil.which(PROGRAMS[name][0][0])])
def test_the_verifiers_for_other_runtimes_do_so_too_where_these_are_installed(language: str, tmp_path: Path) -> None:
    _try_verifier(language, tmp_path)


def _try_verifier(language: str, tmp_path: Path) -> None:
    command, name = PROGRAMS[language]
    source = tmp_path / name
    source.write_text(_blocks(language)[0], encoding="utf-8")
    secret, other = new_secret(), new_secret()
    now = _signed(secret, time.time())
    both = now | {"signature": _signed(other, time.time())["signature"] + " " + now["signature"]}
    assert _run(command, source, secret, now, BODY)
    assert _run(command, source, secret, both, BODY)
    assert not _run(command, source, other, now, BODY)
    assert not _run(command, source, secret, now, BODY + b" ")
    assert not _run(command, source, secret, now | {"id": "msg-2"}, BODY)
    assert not _run(command, source, secret, _signed(secret, time.time() - 3600), BODY)
