"""docs/inbound-providers.md: every provider has its section, its commands make requests that are taken, its event types exist."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.event_types import catalogue
from integrations import registry
from integrations.connectors.bitbucket.cloud import STATUSES as BITBUCKET
from integrations.connectors.circleci.connector import STATUSES as CIRCLECI
from integrations.connectors.gitlab.events import STATUSES as GITLAB
from integrations.connectors.jenkins.connector import STATUSES as JENKINS
from integrations.contract.inbound import InboundRequest, Receiver
from tests.connectors.senders import BY_NAME, SENDERS
from tests.everything import ROOT

pytestmark = pytest.mark.once
PAGE = (ROOT / "docs" / "inbound-providers.md").read_text(encoding="utf-8")
SECTIONS = {found[1]: text for text in PAGE.split("\n## ")[1:] if (found := re.search(r"Address: `/api/v1/webhook/(\w+)/<id>`", text))}
ONE_EACH = {sender.receiver.key: sender for sender in reversed(SENDERS)} | {"generic": BY_NAME["generic_sha1"]}
# instead of sending, it writes down what it was given
CURL = "curl() { printf '%s\\0' \"$@\" > sent; }\n"


def sent_by(command: str, folder: Path, secret: str) -> InboundRequest:
    """Return the request that a command of the page would send."""
    environment = {"PATH": "/usr/bin:/bin", "PORTAL": "https://portal.example.com", "ID": "1", "SECRET": secret}
    subprocess.run(["bash", "-euc", CURL + command], env=environment, cwd=folder, check=True)
    words = (folder / "sent").read_text().rstrip("\0").split("\0")
    headers = dict(words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "-H")
    body = words[words.index("--data-binary") + 1].encode()
    if "-u" in words:
        headers |= BY_NAME["jenkins_basic"].sign(words[words.index("-u") + 1].removeprefix("jenkins:"), body, 0)
    return InboundRequest({name.lower(): value for name, value in headers.items()}, body)


def test_every_receiver_has_a_section() -> None:
    assert {connector.key for connector in registry.with_capability(Receiver)} <= set(SECTIONS)


@pytest.mark.parametrize("provider", sorted(set(SECTIONS) - {"github"}))
def test_its_command_makes_an_authentic_request(provider: str, tmp_path: Path) -> None:
    (command,) = (block for block in re.findall(r"```sh\n(.*?)```", SECTIONS[provider], re.DOTALL) if "manage.py" not in block)
    sender = ONE_EACH[provider]
    receiver, secret = sender.receiver, sender.secrets[0]
    config = {} if provider == "generic" else sender.config
    request = sent_by(command, tmp_path, secret)
    verified = receiver.verify(request, [secret], config, datetime.now(UTC))
    events = receiver.parse(request, verified)
    assert verified.dedupe_id or provider == "generic"
    assert events or provider == "bitbucket"  # its push changes nothing
    assert all(event.type in SECTIONS[provider] or provider == "generic" for event in events)


@pytest.mark.parametrize("provider", sorted(SECTIONS))
def test_the_event_types_it_names_exist(provider: str) -> None:
    named = set(re.findall(r"`((?:inbound|repository|pull_request)\.[\w.-]+)`", SECTIONS[provider]))
    assert named
    assert all(catalogue.find(name) for name in named)
    assert all(name.startswith(f"inbound.{provider}.") or name in catalogue.types for name in named)


def test_its_statuses_are_the_ones_that_are_read() -> None:
    rows = re.findall(
        r"^\| (\w+) \|(.*)\|(.*)\|(.*)\|(.*)\|$", PAGE.partition("## How builds are read")[2].partition("\n## ")[0], re.MULTILINE
    )
    shown = {status: cells for status, *cells in rows if status != "status"}
    for place, words in enumerate((GITLAB, BITBUCKET, JENKINS, CIRCLECI)):
        for word, status in words.items():
            assert word in shown[status][place], (word, status)
