"""`make run` installs once, notices what changed, and heals what a kill left half done."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from repoguard import bootstrap

pytestmark = pytest.mark.once


class Machine:
    """Stands in for pip and venv, and remembers what was asked of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        self.pip_fails = self.venv_fails = False
        for name in ("requirements.txt", "requirements-dev.txt"):
            (root / name).write_text(f"{name} 1")

    def __call__(self, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        python = self.root / ".venv" / "bin" / "python"
        if "venv" in command:
            self.asked.append("venv")
            if not self.venv_fails:
                python.parent.mkdir(parents=True, exist_ok=True)
                python.touch()
            return subprocess.CompletedProcess(command, int(self.venv_fails), "", "ensurepip is not available")
        if "install" in command:
            self.asked.append(" ".join(["pip", *(Path(word).name for word in command if word.endswith(".txt"))]))
            assert "--require-hashes" in command
            return subprocess.CompletedProcess(command, int(self.pip_fails))
        if not python.exists():
            raise FileNotFoundError(python)
        return subprocess.CompletedProcess(command, 0)

    def bootstrap(self, *arguments: str) -> int:
        self.asked.clear()
        return bootstrap.main(list(arguments), self.root)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(bootstrap.subprocess, "run", made)
    return made


def test_a_fresh_machine_gets_everything_and_a_second_run_does_nothing(machine: Machine) -> None:
    assert machine.bootstrap() == 0
    assert machine.asked == ["venv", "pip requirements.txt"]
    assert machine.bootstrap() == 0
    assert machine.asked == []


def test_tests_need_more_and_a_run_afterwards_nothing(machine: Machine) -> None:
    machine.bootstrap()
    machine.bootstrap("--dev")
    assert machine.asked == ["pip requirements.txt requirements-dev.txt"]
    for arguments in ([], ["--dev"]):
        machine.bootstrap(*arguments)
        assert machine.asked == []


def test_changed_requirements_are_installed(machine: Machine) -> None:
    machine.bootstrap("--dev")
    (machine.root / "requirements.txt").write_text("requirements.txt 2")
    machine.bootstrap()
    assert machine.asked == ["pip requirements.txt"]
    machine.bootstrap("--dev")
    assert machine.asked == ["pip requirements.txt requirements-dev.txt"]


def test_a_failed_installation_is_tried_again(machine: Machine, capsys: Any) -> None:
    machine.pip_fails = True
    assert machine.bootstrap() == 1
    assert "could not be installed" in capsys.readouterr().err
    machine.pip_fails = False
    assert machine.bootstrap() == 0
    assert machine.asked == ["pip requirements.txt"]


def test_a_broken_environment_is_made_anew(machine: Machine) -> None:
    machine.bootstrap()
    (machine.root / ".venv" / "bin" / "python").unlink()
    assert machine.bootstrap() == 0
    assert machine.asked == ["venv", "pip requirements.txt"]


def test_a_python_without_venv_is_named(machine: Machine, capsys: Any) -> None:
    machine.venv_fails = True
    assert machine.bootstrap() == 1
    assert "apt-get install python3-venv" in capsys.readouterr().err


def test_an_old_python_is_named(machine: Machine, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 10, 0))
    assert machine.bootstrap() == 1
    assert "needs Python 3.11" in capsys.readouterr().err


def test_it_needs_nothing_but_python() -> None:
    program = Path(bootstrap.__file__)
    done = subprocess.run(["/usr/bin/env", "python3", "-I", "-S", "-c", f"import runpy; runpy.run_path({str(program)!r})"], check=False)
    assert done.returncode == 0
