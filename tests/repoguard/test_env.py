"""Settings are read from the environment, from files, and from .env, and say what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from repoguard.env import Environment, locate, read_env_file


def environment(**values: str) -> Environment:
    return Environment(values=values, fallback={"FALLEN": "back", "COLOUR": "grey"})


def test_it_prefers_the_environment_to_the_fallback() -> None:
    assert environment(COLOUR="red").text("COLOUR", "blue", "") == "red"
    assert environment().text("COLOUR", "blue", "") == "grey"
    assert environment().text("SIZE", "large", "") == "large"


def test_an_empty_value_counts_as_unset() -> None:
    assert environment(SIZE="").integer("SIZE", 5, "") == 5


def test_it_reads_a_value_from_the_named_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    assert environment(KEY_FILE=str(tmp_path / "secret")).text("KEY", "", "", secret=True) == "s3cret"


def test_a_file_in_the_environment_beats_a_fallback_value(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("new")
    assert environment(COLOUR_FILE=str(tmp_path / "secret")).text("COLOUR", "", "") == "new"


def test_it_refuses_a_value_and_a_file_together() -> None:
    with pytest.raises(ImproperlyConfigured, match="KEY or KEY_FILE, not both"):
        environment(KEY="a", KEY_FILE="b").text("KEY", "", "")


@pytest.mark.parametrize(("content", "sentence"), [(None, "can't be read"), (b"\xff\xfe\x00", "not text")])
def test_it_names_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(ImproperlyConfigured, match=f"KEY_FILE names .*{sentence}"):
        environment(KEY_FILE=str(tmp_path / "file")).text("KEY", "", "")


def test_it_names_a_number_that_is_none_without_repeating_it() -> None:
    with pytest.raises(ImproperlyConfigured, match="PORT can't be read as number") as raised:
        environment(PORT="hunter2").integer("PORT", 1, "")
    assert "hunter2" not in str(raised.value)


def test_it_refuses_a_number_below_its_least() -> None:
    with pytest.raises(ImproperlyConfigured, match="WORKERS is 0; it must be at least 1"):
        environment(WORKERS="0").integer("WORKERS", 2, "", low=1)


@pytest.mark.parametrize("number", ["0", "65536", "99999"])
def test_it_refuses_a_number_out_of_bounds(number: str) -> None:
    assert environment(PORT="65535").integer("PORT", 1, "", low=1, high=65535) == 65535
    with pytest.raises(ImproperlyConfigured, match=rf"^PORT is {number}; set it to 1 to 65535\.$"):
        environment(PORT=number).integer("PORT", 1, "", low=1, high=65535)


@pytest.mark.parametrize(
    ("text", "on"), [("yes", True), ("1", True), ("on", True), ("True", True), ("no", False), ("0", False), ("OFF ", False)]
)
def test_it_reads_switches(text: str, on: bool) -> None:
    assert environment(DEBUG=text).switch("DEBUG", not on, "") is on


def test_it_refuses_a_switch_that_is_neither_on_nor_off() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^DEBUG is 'maybe'; set it to yes or no\.$"):
        environment(DEBUG="maybe").switch("DEBUG", False, "")
    with pytest.raises(ImproperlyConfigured, match="set it to yes or no") as raised:
        environment(DEBUG="a-secret-in-the-wrong-place").switch("DEBUG", False, "")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["redis://h:6379/0", "rediss://:p@h", "unix:///run/redis.sock", ""])
def test_it_takes_a_redis(url: str) -> None:
    assert environment(REDIS_URL=url).redis("REDIS_URL", "redis://host:6379/0", "") == url


@pytest.mark.parametrize("url", ["h:6379", "http://h:6379", "hunter2"])
def test_it_refuses_what_is_no_redis_without_repeating_it(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^REDIS_URL is not a Redis URL like redis://host:6379/0\.$"):
        environment(REDIS_URL=url).redis("REDIS_URL", "redis://host:6379/0", "")


def test_it_says_what_a_misspelt_name_may_have_meant() -> None:
    read = environment()
    read.integer("WEB_PROCESSES", 2, "")
    assert read.unknown(["WEB_PROCESSES", "WEB_PROCESSES_FILE"]) == []
    assert read.unknown(["WEB_PROCESES", "COMPOSE"]) == [
        "unknown setting COMPOSE.",
        "unknown setting WEB_PROCESES; did you mean WEB_PROCESSES?",
    ]


def test_it_reads_lists_and_drops_empty_words() -> None:
    assert environment(HOSTS=" a, b,,c ").words("HOSTS", [], "") == ["a", "b", "c"]


def test_it_reads_networks_in_canonical_form() -> None:
    assert environment(NETS="10.1.2.3/8, ::1").networks("NETS", [], "") == ["10.0.0.0/8", "::1/128"]


def test_it_names_a_network_that_is_none() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"NETS holds '10\.0\.0\.0/99'"):
        environment(NETS="10.0.0.0/99").networks("NETS", [], "")


def test_sqlite_writes_ahead_and_takes_the_write_lock_first(tmp_path: Path) -> None:
    config = environment().database("DATABASE_URL", tmp_path / "db.sqlite3")
    assert config["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in config["OPTIONS"]["init_command"]
    assert config["NAME"] == str(tmp_path / "db.sqlite3")


def test_it_takes_postgres_and_keeps_its_connections(tmp_path: Path) -> None:
    config = environment(DATABASE_URL="postgres://u:p@h:5433/n").database("DATABASE_URL", tmp_path)
    assert (config["HOST"], config["PORT"], config["CONN_MAX_AGE"]) == ("h", 5433, 600)


@pytest.mark.parametrize("url", ["mysql://u:p@h/n", "nonsense", "postgres//u@h", "postgres://u:p@h:port/n"])
def test_it_refuses_another_database(tmp_path: Path, url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        environment(DATABASE_URL=url).database("DATABASE_URL", tmp_path)


def test_it_reads_an_env_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# comment\nA=1\n  export B = two words \nC=\"quoted\"\nD='x=y'\r\n#E=5\n\nF=\n")
    assert read_env_file(path) == {"A": "1", "B": "two words", "C": "quoted", "D": "x=y", "F": ""}


def test_no_env_file_is_no_error(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / "missing") == {}
    assert read_env_file(tmp_path) == {}


@pytest.mark.parametrize("line", ["hunter2", "port=1", "two words=1", "A: 1"])
def test_it_names_a_line_of_the_env_file_that_it_cannot_read(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"# comment\nA=1\n{line}\n")
    with pytest.raises(ImproperlyConfigured, match=r"\.env: line 3 is not NAME=value") as raised:
        read_env_file(tmp_path / ".env")
    assert "hunter2" not in str(raised.value)


def test_a_named_env_file_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "missing", tmp_path):
        monkeypatch.setenv("REPOGUARD_ENV_FILE", str(path))
        with pytest.raises(ImproperlyConfigured, match=r"REPOGUARD_ENV_FILE names .*, which can't be read"):
            locate(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("REPOGUARD_ENV_FILE", str(tmp_path / "binary"))
    with pytest.raises(ImproperlyConfigured, match="which is not text"):
        locate(tmp_path)


def test_the_data_folder_may_be_named_in_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPOGUARD_DATA_DIR")
    monkeypatch.delenv("REPOGUARD_ENV_FILE")
    assert locate(tmp_path)[1] == tmp_path / "var"
    (tmp_path / ".env").write_text("REPOGUARD_DATA_DIR=elsewhere\n")
    assert locate(tmp_path)[1] == tmp_path / "elsewhere"
    monkeypatch.setenv("REPOGUARD_DATA_DIR", "/srv/data")
    assert locate(tmp_path)[1] == Path("/srv/data")
