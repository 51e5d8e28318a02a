"""An unsafe installation is refused, with a sentence that says what to set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import Error, run_checks
from django.core.exceptions import ImproperlyConfigured

from repoguard import checks
from tests.everything import ROOT, production

SAFE: dict[str, Any] = {
    "PRODUCTION": True,
    "SECRET_KEY": "pW3mQ8vZ1xL5nB7cR2tY6uJ9kD4fG0hS-aEiOqUzXwVbNmTjHgFdSlKpC",
    "FERNET_KEYS": ["jw0D6m2Rk8f3Xc5bQ7vN1tY9sLpZaHuEoGiKxBqWyTM="],
    "ALLOWED_HOSTS": ["repoguard.example.com"],
    "PUBLIC_URL": "https://repoguard.example.com",
    "TRUSTED_PROXIES": ["10.0.0.1/32"],
    "ADMIN_PASSWORD": "",
    "DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql"}},
    "DEBUG": False,
    "UNKNOWN_SETTINGS": [],
    "EGRESS_ALLOW_CIDRS": [],
    "Q_CLUSTER": settings.Q_CLUSTER,
}


def config(**changes: Any) -> SimpleNamespace:
    return SimpleNamespace(**(SAFE | changes))


def found(**changes: Any) -> dict[str | None, str]:
    return {message.id: f"{message.msg} {message.hint}" for message in checks.problems(config(**changes))}


def test_a_safe_production_has_nothing_to_say() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("changes", "id_", "names"),
    [
        ({"PUBLIC_URL": "repoguard"}, "repoguard.E001", "PUBLIC_URL"),
        ({"EGRESS_ALLOW_CIDRS": ["0.0.0.0/0"]}, "repoguard.E002", "EGRESS_ALLOW_CIDRS"),
        ({"EGRESS_ALLOW_CIDRS": ["::/0"]}, "repoguard.E002", "EGRESS_ALLOW_CIDRS"),
        ({"EGRESS_ALLOW_CIDRS": ["128.0.0.0/1"]}, "repoguard.E002", "EGRESS_ALLOW_CIDRS"),
        ({"EGRESS_ALLOW_CIDRS": ["169.254.0.0/16"]}, "repoguard.W003", "metadata"),
        ({"UNKNOWN_SETTINGS": ["unknown setting PROT; did you mean PORT?"]}, "repoguard.W005", "did you mean PORT?"),
        ({"FERNET_KEYS": ["change-me"], "PRODUCTION": False}, "repoguard.E011", "32 random bytes"),
        ({"SECRET_KEY": "django-insecure-" + "x" * 50}, "repoguard.E010", "SECRET_KEY"),
        ({"SECRET_KEY": "a" * 60}, "repoguard.E010", "SECRET_KEY"),
        ({"SECRET_KEY": SAFE["SECRET_KEY"][:40]}, "repoguard.E010", "SECRET_KEY"),
        ({"FERNET_KEYS": ["change-me"]}, "repoguard.E011", "FERNET_KEYS"),
        ({"FERNET_KEYS": ["A" * 43 + "="]}, "repoguard.E011", "FERNET_KEYS"),
        ({"FERNET_KEYS": [*SAFE["FERNET_KEYS"], "c2hvcnQ="]}, "repoguard.E011", "FERNET_KEYS"),
        ({"DEBUG": True}, "repoguard.E020", "DEBUG"),
        ({"ALLOWED_HOSTS": []}, "repoguard.E021", "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": ["*"]}, "repoguard.E021", "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": ["a.example.com", "."]}, "repoguard.E021", "ALLOWED_HOSTS"),
        ({"PUBLIC_URL": "http://repoguard.example.com"}, "repoguard.E022", "PUBLIC_URL"),
        ({"ADMIN_PASSWORD": "admin"}, "repoguard.E023", "ADMIN_PASSWORD"),
        ({"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3"}}}, "repoguard.W024", "DATABASE_URL"),
        ({"TRUSTED_PROXIES": []}, "repoguard.W025", "TRUSTED_PROXIES"),
    ],
)
def test_it_finds_what_is_unsafe_and_names_the_setting(changes: dict[str, Any], id_: str, names: str) -> None:
    messages = found(**changes)
    assert list(messages) == [id_]
    assert names in messages[id_]


def test_it_finds_a_queue_that_would_run_tasks_twice() -> None:
    cluster = settings.Q_CLUSTER | {"retry": settings.Q_CLUSTER["timeout"]}
    assert list(found(Q_CLUSTER=cluster)) == ["repoguard.E004"]


def test_a_local_installation_may_be_plain() -> None:
    assert found(PRODUCTION=False, ALLOWED_HOSTS=[], DEBUG=True, PUBLIC_URL="http://localhost:8000", TRUSTED_PROXIES=[]) == {}


def test_warnings_do_not_stop_a_server_but_errors_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "settings", config(TRUSTED_PROXIES=[]))
    checks.refuse_unsafe()
    monkeypatch.setattr(checks, "settings", config(ALLOWED_HOSTS=[], DEBUG=True))
    with pytest.raises(ImproperlyConfigured, match=r"Unset DEBUG\. ALLOWED_HOSTS is empty"):
        checks.refuse_unsafe()


def test_no_secret_is_repeated_in_a_message() -> None:
    text = " ".join(found(SECRET_KEY="hunter2-change-me", FERNET_KEYS=["hunter3"], ADMIN_PASSWORD="hunter4").values())
    assert "hunter" not in text


@pytest.mark.once
@pytest.mark.parametrize(
    ("command", "changes", "sentence"),
    [
        (["-c", "import repoguard.wsgi"], {"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS is empty, or allows any host."),
        (["manage.py", "qcluster"], {"DEBUG": "yes"}, "DEBUG is on"),
        (["manage.py", "supervise"], {"SECRET_KEY": "change-me"}, "SECRET_KEY is an example"),
        (["manage.py", "prepare"], {"SECRET_KEY": ""}, "SECRET_KEY and FERNET_KEYS are not set"),
        (["manage.py", "check"], {"LOG_LEVEL": "loud"}, "LOG_LEVEL is 'LOUD'"),
        (["manage.py", "check"], {"REPOGUARD_MODE": "prod"}, "REPOGUARD_MODE is 'prod'"),
        (["manage.py", "check"], {"REDIS_URL": "redis:6379"}, "REDIS_URL is not a Redis URL like redis://host:6379/0."),
        (["manage.py", "check"], {"QUEUE_URL": "http://redis:6379"}, "QUEUE_URL is not a Redis URL like redis://host:6379/1."),
        (["manage.py", "check"], {"PORT": "99999"}, "PORT is 99999; set it to 1 to 65535."),
        (["manage.py", "check"], {"DEBUG": "maybe"}, "DEBUG is 'maybe'; set it to yes or no."),
        (["manage.py", "prepare"], {"FERNET_KEYS": "weak", "REPOGUARD_MODE": "local"}, "FERNET_KEYS holds an example"),
        (["manage.py", "check"], {"REPOGUARD_ENV_FILE": "/no/such/file"}, "REPOGUARD_ENV_FILE names /no/such/file, which can't be read"),
        (["manage.py", "check"], {"EGRESS_ALLOW_CIDRS": "inner"}, "EGRESS_ALLOW_CIDRS holds 'inner'"),
    ],
)
def test_every_way_to_start_refuses(tmp_path: Path, command: list[str], changes: dict[str, str], sentence: str) -> None:
    environment = production() | {"REPOGUARD_DATA_DIR": str(tmp_path), "PATH": os.environ["PATH"]} | changes
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert sentence in done.stderr


def test_errors_and_warnings_are_told_apart_by_their_ids() -> None:
    messages = checks.problems(config(DEBUG=True, TRUSTED_PROXIES=[]))
    assert [(message.id or "").startswith("repoguard.E") for message in messages] == [isinstance(message, Error) for message in messages]
    assert len(messages) == 2


@pytest.mark.once
@pytest.mark.parametrize("command", [["prepare"], ["supervise", "--only", "nothing"]])
def test_a_misspelt_name_in_the_env_file_is_a_warning(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "env").write_text("WEB_PROCESES=3\nPORT_FILE=\n")
    given = {"REPOGUARD_DATA_DIR": str(tmp_path), "REPOGUARD_ENV_FILE": str(tmp_path / "env"), "PATH": os.environ["PATH"]}
    environment = production() | given | {"DATABASE_URL": ""}
    done = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr.count("unknown setting WEB_PROCESES; did you mean WEB_PROCESSES?") == 1
    assert "PORT_FILE" not in done.stderr
    assert done.returncode == (0 if command == ["prepare"] else 2)


@pytest.mark.django_db
def test_a_local_installation_is_not_told_what_only_https_can_mend() -> None:
    messages = [message for message in run_checks(include_deployment_checks=True) if not message.is_silenced()]
    assert [message.id for message in messages if (message.id or "").startswith("security.")] == []
