"""The connector of CONTRIBUTING.md is built from its page, and keeps to the contract."""

from __future__ import annotations

import re
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from integrations.checks import found_in
from integrations.contract import addresses, archive, backfill, feeds, gateway, inbound, outbound, scans, simulated
from integrations.contract import connector as bases
from integrations.contract.connector import Connector
from integrations.contract.outbound import DestinationAnswer
from integrations.contract.reference import reference
from tests.connectors.contract import ConnectorContract, event
from tests.everything import BIN, ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CONNECTOR, TESTS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NAME = "integrations.connectors.acme_alerts.connector"


def _load(name: str, source: str) -> ModuleType:
    module = ModuleType(name)
    sys.modules[name] = module  # dataclasses and pickles ask for it by name
    exec(compile(source, f"CONTRIBUTING.md: {name}", "exec"), module.__dict__)
    return module


acme = _load(NAME, CONNECTOR)
AcmeAlerts: Any = acme.AcmeAlerts
TestAcmeAlerts: type[ConnectorContract] = _load("tests.connectors.acme_alerts.test_contract", TESTS).TestAcmeAlerts


@pytest.fixture(scope="module", autouse=True)
def _forget_it_afterwards() -> Any:
    yield
    for name in (NAME, "tests.connectors.acme_alerts.test_contract"):
        sys.modules.pop(name, None)


def test_it_passes_the_system_check_and_has_a_section() -> None:
    assert found_in([AcmeAlerts]) == []
    assert "## Acme Alerts" in reference([AcmeAlerts])


def test_what_it_does_is_what_the_page_says() -> None:
    made = TestAcmeAlerts().made(*TestAcmeAlerts.good_answers)
    assert made.check().message == "Signed in to the account Payments."
    (call,) = made.door.calls
    assert (call.url, call.headers["X-Acme-Key"]) == ("https://acme.example/api/account?region=eu", made.credentials["api_key"])
    assert made.build(event(), {"team": "x"}).url == "https://acme.example/api/alerts"
    assert made.judge(DestinationAnswer(200, {}, b'{"accepted": true}')) is None
    refused = made.judge(DestinationAnswer(200, {}, b'{"accepted": false}'))
    assert (refused.ok, refused.permanent) == (False, True)


def test_it_is_written_as_the_rest_of_the_code_is(tmp_path: Any) -> None:
    source = tmp_path / "connector.py"
    source.write_text(CONNECTOR)
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [str(BIN / "ruff"), *command, "--config", str(ROOT / "pyproject.toml"), str(source)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_names_every_base() -> None:
    own = {
        name
        for module in (addresses, archive, backfill, bases, feeds, gateway, inbound, outbound, scans, simulated)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Connector) and name not in ("Connector", "Destination")
    }
    table = PAGE.partition("| base | for |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([A-Z]\w+)`", table)) == own


def test_every_path_it_names_exists() -> None:
    made_up = "acme_alerts"
    paths = {path for path in re.findall(r"`((?:integrations|tests|docs)/[\w/.]+)`", PAGE) if made_up not in path}
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
