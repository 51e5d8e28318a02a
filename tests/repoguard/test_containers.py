"""What can be said of the container files without an engine that runs them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from repoguard.settings import ENV
from tests.everything import ROOT

pytestmark = pytest.mark.once


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text()))


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def test_web_and_workers_differ_in_their_command_only() -> None:
    services = compose()["services"]
    assert services["web"]["command"][-2:] == ["--only", "web"]
    assert services["workers"]["command"][-2:] == ["--only", "default,deliveries"]
    for name in ("environment", "secrets", "depends_on", "image", "read_only"):
        assert services["web"][name] == services["workers"][name]


def test_every_variable_is_a_setting() -> None:
    names = {name.removesuffix("_FILE") for name in compose()["services"]["web"]["environment"]}
    names |= set(re.findall(r"^\s+(?:ENV )?((?:REPOGUARD_|BIND|PORT)[A-Z_]*)=", dockerfile(), re.MULTILINE))
    assert names <= set(ENV.documented)


def test_secrets_are_files_and_all_are_declared() -> None:
    file = compose()
    used = {secret for service in file["services"].values() for secret in service.get("secrets", [])}
    assert used == set(file["secrets"])
    assert all("file" in secret for secret in file["secrets"].values())
    secret_names = {setting.name for setting in ENV.documented.values() if setting.secret}
    assert not secret_names & (set(file["services"]["web"]["environment"]) - {"REDIS_URL"})


def test_volumes_are_declared_and_nobody_shares_a_data_folder() -> None:
    file = compose()
    used = [volume.split(":")[0] for service in file["services"].values() for volume in service.get("volumes", [])]
    assert sorted(used) == sorted(file["volumes"])


def test_a_stop_is_given_the_time_it_needs() -> None:
    # ten seconds for deliveries, ten for tasks, and what a kill takes
    assert all(int(compose()["services"][name]["stop_grace_period"].removesuffix("s")) >= 30 for name in ("web", "workers"))


def test_the_image_is_built_in_two_stages_and_runs_as_nobody_special() -> None:
    text = dockerfile()
    assert text.count("\nFROM ") + text.startswith("FROM") == 2
    assert "--require-hashes" in text
    assert text.index("USER repoguard") < text.index('CMD ["python", "manage.py"')
    assert "HEALTHCHECK" in text


def test_the_supervisor_is_the_first_process() -> None:
    (command,) = re.findall(r"^CMD (.*)$", dockerfile(), re.MULTILINE)
    assert command.startswith("[")


def test_secrets_and_data_stay_out_of_the_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", "secrets", "var", ".git", ".venv"} <= set(ignored)


def test_procfile_names_commands_that_exist() -> None:
    for line in (ROOT / "Procfile").read_text().splitlines():
        assert re.fullmatch(r"\w+: python manage\.py (prepare|supervise --only [a-z,]+)", line)
