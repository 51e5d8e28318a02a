"""docs/api.md and docs/api/: every command runs and answers as its page says, and together they leave no operation out."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from core import runtime, work, work_registry
from core.leases import register_worker
from tests.access.keys import make_key
from tests.connectors.github.stub import Stub, make_runs, stubbed
from tests.repoguard.api_pages import INDEX, TABLE, Example, examples, operation_of, pages, read_answer, table_of, unlike
from tests.webhooks.receivers import Received, Receiver, Reply, receiving, wait_for
from webhooks.engine.pump import Engine
from webhooks.models import WebhookDelivery

pytestmark = pytest.mark.once
# what a page may show besides the operations of the schema: neither is a resource of it
OUTSIDE = {("GET", "/api/schema"), ("POST", "/api/v1/webhook/{provider}/{id}")}
# passes curl's answer on, and writes down what was asked and answered
CURL = """#!/bin/bash
set -o pipefail
"{curl}" -w '%{{stderr}}\\n@%{{http_code}} %{{method}} %{{url_effective}}\\n' "$@" 2>>"{folder}/.asked" | tee "{folder}/.answer"
"""


def service(request: Received) -> Reply:
    """Be the service behind https://tickets.example.com, and the receiver behind https://ci.example.com."""
    body = b'[{"id": 7, "title": "Checkout fails"}]' if "issues" in request.path else b'{"status": "ok"}'
    return Reply(headers={"Content-Type": "application/json"}, body=body)


@pytest.fixture
def outside(settings: Any) -> Iterator[tuple[Receiver, Stub]]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    runtime.forget()
    with receiving(service) as receiver, stubbed(runs=make_runs(3)) as github:
        yield receiver, github
    runtime.forget()


class Reader:
    """Somebody who works through the pages with a shell, one command after the other."""

    def __init__(self, folder: Path, key: str, placeholders: dict[str, str]) -> None:
        self.folder, self.key, self.placeholders = folder, key, placeholders
        self.seen: list[tuple[str, str, Example]] = []
        self.wrong: list[str] = []
        (folder / ".environment").touch()
        (folder / "bin").mkdir()
        (folder / "bin" / "curl").write_text(CURL.format(curl=shutil.which("curl"), folder=folder))
        (folder / "bin" / "curl").chmod(0o755)

    def follow(self, example: Example) -> None:
        """Run one command, and note what is not as the page says."""
        command = self.filled(example.command).replace("rg_live_…", self.key)
        asked = self.folder / ".asked"
        asked.write_text("")
        script = f"source .environment\n{command}\ndeclare -px > .environment"
        environment = {"PATH": f"{self.folder}/bin:/usr/bin:/bin", "HOME": str(self.folder)}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            self.complain(example, f"exit code {done.returncode}: {done.stderr}{asked.read_text()}")
        calls = re.findall(r"^@(\d{3}) (\w+) (\S+)$", asked.read_text(), re.MULTILINE)
        if len(calls) != (example.status is not None):
            self.complain(example, f"it made {len(calls)} calls, and the text behind it says {example.status or 'no **status**'}")
        elif calls:
            self.compare(example, int(calls[0][0]), calls[0][1], calls[0][2])

    def filled(self, text: str) -> str:
        """Put the addresses of this test in the place of the made-up ones."""
        for name, value in self.placeholders.items():
            text = text.replace(name, value)
        return text

    def compare(self, example: Example, status: int, method: str, url: str) -> None:
        answer = (self.folder / ".answer").read_text()
        if status != example.status:
            self.complain(example, f"{method} {url} answered {status}: {answer[:600]}")
            return
        if status < 400:
            self.seen.append((method, re.sub(r"^https?://[^/]+|\?.*$", "", url), example))
        for name in example.headers:
            if f"\n{name}: ".lower() not in answer.lower():
                self.complain(example, f"the answer has no header {name}")
        body = json.loads(answer.rpartition("\r\n\r\n")[2] or "null") if example.answer or example.variables else None
        for one in unlike(read_answer(self.filled(example.answer)), body) if example.answer else []:
            self.complain(example, one)
        lines = []
        for name, path in example.variables.items():
            value = body
            for word in path.split("."):
                value = value[int(word)] if word.isdigit() else value[word]
            lines.append(f"declare -x {name}={json.dumps(value)}\n")
        with (self.folder / ".environment").open("a") as file:
            file.writelines(lines)

    def complain(self, example: Example, sentence: str) -> None:
        self.wrong.append(f"{example.place}: {sentence}")


def let_workers_run() -> None:
    """Do what the portal's workers do: work off what is queued, and send what is due."""
    for kind in work_registry.kinds():
        work.run_due(kind.model, kind.handler)
    engine = Engine(5)
    engine.start()
    try:
        engine.claim_for(60)
        wait_for(lambda: not WebhookDelivery.objects.filter(status="pending", attempts=0, webhook__deleted_at=None).exists(), seconds=20)
    finally:
        engine.stop()


@pytest.mark.django_db(transaction=True)
def test_every_command_of_the_reference_works_and_no_operation_is_left_out(
    live_server: Any, outside: tuple[Receiver, Stub], tmp_path: Path
) -> None:
    receiver, github = outside
    _, key = make_key(None, "all", rate_per_minute=10_000)
    placeholders = {
        "https://portal.example.com": live_server.url,
        "https://tickets.example.com": receiver.url(""),
        "https://ci.example.com": receiver.url(""),
        "https://github.example.com/api/v3": github.url,
    }
    for kind in ("deliveries", "cluster:default", "cluster:deliveries"):
        register_worker(kind)
    reader = Reader(tmp_path, key, placeholders)
    for page in pages():
        for example in examples(page):
            if example.after_workers:
                let_workers_run()
            reader.follow(example)
    assert not reader.wrong, "\n".join(reader.wrong)
    schema = SchemaGenerator().get_schema(request=None, public=True)
    known = {(method.upper(), path) for path, methods in schema["paths"].items() for method in methods}
    shown: dict[tuple[str, str], Example] = {}
    for method, path, example in sorted(reader.seen, key=lambda call: call[2].page == INDEX):  # its own page goes before the introduction
        shown.setdefault(operation_of(method, path, known | OUTSIDE), example)
    missing = [f"{method} {path}" for method, path in sorted(known - set(shown))]
    assert not missing, f"no command in docs/api/ calls {', '.join(missing)}; CONTRIBUTING.md says how to add one"
    assert set(shown) - known <= OUTSIDE
    check_table({operation: example for operation, example in shown.items() if operation in known})


def check_table(shown: dict[tuple[str, str], Example]) -> None:
    """Hold the table at the end of the index against what was run, or write it anew."""
    before, start, table = INDEX.read_text(encoding="utf-8").partition(TABLE)
    wanted = table_of(shown)
    if os.environ.get("UPDATE_DOCS"):
        INDEX.write_text(f"{before}{start}\n{wanted}", encoding="utf-8")
        return
    assert table.strip() == wanted.strip(), "run this test with UPDATE_DOCS=1 to rewrite the table of docs/api.md"
