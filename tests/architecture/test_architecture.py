"""Rules of the code that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.everything import APPS, ROOT

pytestmark = pytest.mark.once
# a module longer than this does more than one thing
LONGEST_FILE = 300
LONGEST_FUNCTION = 60


def modules(*folders: str) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def test_no_file_grows_beyond_three_hundred_lines() -> None:
    assert [str(path) for path, text in modules(*APPS) if text.count("\n") > LONGEST_FILE] == []


def test_no_function_grows_beyond_sixty_lines() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path, text in modules(*APPS)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def test_no_file_is_called_utils_or_helpers() -> None:
    assert [str(path) for path, _ in modules(*APPS, "tests") if path.stem in {"utils", "util", "helpers", "helper", "misc", "common"}] == []


def test_every_command_is_tested() -> None:
    tests = "".join(text for _, text in modules("tests"))
    commands = {path.stem for path, _ in modules(*APPS) if path.parts[-2] == "commands" and path.stem != "__init__"}
    assert {name for name in commands if not re.search(rf"\b{name}\b", tests)} == set()


def test_every_test_folder_mirrors_an_app() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and not path.name.startswith(("_", "."))}
    assert folders <= {*APPS, "admin", "architecture", "connectors", "contract", "end_to_end", "kills", "oracles"}


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!<?https?://|#|mailto:)([^)#\s]+)", path.read_text(encoding="utf-8")):
            if not (path.parent / target).exists():
                broken.append(f"{path.name}: {target}")
    assert broken == []


def test_make_and_ci_run_the_same() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    makefile = (ROOT / "Makefile").read_text()
    assert "tests.everything" in makefile
    assert "tests.everything --checks" in (ROOT / ".pre-commit-config.yaml").read_text()


def test_make_says_what_it_can_do() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for command in ("run", "test", "setup"):
        assert f"make {command} " in said


def test_pins_have_hashes_and_no_index() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        assert not re.search(r"--(extra-)?index-url|--find-links|https?://|file:", text)
        assert len(re.findall(r"^[a-z].*==", text, re.MULTILINE)) == len(re.findall(r"^[a-z].*== ?\S+ \\\n +--hash=", text, re.MULTILINE))


def test_a_migration_for_every_change_of_a_model() -> None:
    """`make test` asks Django; here: each app with models has its first migration in the repository."""
    for app in APPS:
        if list((ROOT / app).glob("models*")):
            assert (ROOT / app / "migrations" / "0001_initial.py").exists(), app
