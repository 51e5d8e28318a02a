"""The supervisor's decisions, with small programs and a clock of the test's own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from core import runfiles
from core.supervisor import alive, child, database, group, leash, watch
from core.supervisor.group import ProcessGroup
from tests.core.portal import wait_for

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
FORKING = [sys.executable, "-c", "import os, time; os.fork(); os.fork(); time.sleep(60)"]


@pytest.fixture
def programs() -> Iterator[Callable[..., ProcessGroup]]:
    made: list[ProcessGroup] = []

    def make(name: str, command: list[str]) -> ProcessGroup:
        made.append(ProcessGroup(name, command))
        return made[-1]

    yield make
    for program in made:
        program.end()


def yes() -> bool:
    return True


def no() -> bool:
    return False


class Clock:
    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(child, "time", mock.Mock(monotonic=made, time=time.time))
    return made


def test_a_program_that_ends_is_started_again_later_each_time(programs: Any, clock: Clock) -> None:
    watched = child.Child("short", programs("short", ["/bin/true"]))
    pauses = []
    for _ in range(7):
        watched.look(yes)
        wait_for(watched.ended, "its end")
        watched.look(yes)
        began, starts = clock.now, watched.starts
        while watched.starts == starts:
            clock.now += 0.1
            watched.look(yes)
        pauses.append(round(clock.now - began, 1))
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 10, 10], abs=0.15)


def test_ending_a_program_ends_what_it_forked(programs: Any) -> None:
    program = programs("forking", FORKING)
    program.start()
    wait_for(lambda: len(group.marked(program._token)) == 4, "its forks")
    token = program._token
    program.end()
    assert group.marked(token) == []
    assert program.pid == 0


def test_what_a_killed_supervisor_left_is_found_and_ended(programs: Any) -> None:
    first = programs("left", FORKING)
    first.start()
    wait_for(lambda: len(group.marked(first._token)) == 4, "its forks")
    second = ProcessGroup("left", SLEEP)
    assert second.end_predecessor()
    assert group.marked(first._token) == []
    assert not second.end_predecessor()


def test_a_program_that_never_ran_left_nothing() -> None:
    assert not ProcessGroup("unheard-of", SLEEP).end_predecessor()


def test_a_tied_process_dies_with_its_parent(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, {leash.__file__!r}, str(os.getpid()), "/bin/sleep", "60"])
open({str(note)!r}, "w").write(str(child.pid))
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program])
    pid = int(wait_for(lambda: note.exists() and note.read_text(), "the child"))
    wait_for(lambda: Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"/bin/sleep"), "the child's tie")
    parent.kill()
    parent.wait()
    wait_for(lambda: not _lives(pid), "the child's end")


def test_a_process_whose_parent_is_already_gone_ends_at_once() -> None:
    done = subprocess.run([sys.executable, leash.__file__, "1", "/bin/sleep", "60"], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def cluster(programs: Any, clock: Clock) -> Iterator[child.Cluster]:
    watched = child.Cluster("default", programs("default", SLEEP))
    watched.start()
    yield watched
    runfiles.forget_cluster("default")


def sing(number: int, *, canary: bool = True, sentinel: bool = True) -> None:
    for wanted, path in ((canary, runfiles.canary_file("default")), (sentinel, runfiles.members_file("default"))):
        if wanted:
            path.touch()
            os.utime(path, (number, number))


def watched_for(seconds: int, cluster: child.Cluster, clock: Clock, answers: Any = yes) -> bool:
    """Look every second for so long; return whether the cluster still runs."""
    for _ in range(seconds):
        clock.now += 1
        cluster.look(answers)
        if not cluster.group.pid:
            return False
    return True


def test_a_cluster_has_a_minute_to_start(cluster: child.Cluster, clock: Clock) -> None:
    assert watched_for(60, cluster, clock)
    assert not watched_for(2, cluster, clock)


def test_a_machine_that_was_suspended_is_no_silence(cluster: child.Cluster, clock: Clock) -> None:
    sing(1)
    cluster.look(yes)
    clock.now += 3600
    assert watched_for(15, cluster, clock), "it sang no less than the supervisor looked"
    assert not watched_for(2, cluster, clock), "but from then on it should have sung"


@pytest.mark.parametrize("silent", ["canary", "sentinel"])
def test_a_silent_cluster_is_ended(cluster: child.Cluster, clock: Clock, silent: str) -> None:
    sing(1)
    cluster.look(yes)
    for number in range(2, 16):
        clock.now += 1
        sing(number, canary=silent != "canary", sentinel=silent != "sentinel")
        cluster.look(yes)
        assert cluster.group.pid
    clock.now += 2
    cluster.look(yes)
    assert not cluster.group.pid


def test_a_singing_cluster_is_left_alone(cluster: child.Cluster, clock: Clock) -> None:
    for number in range(1, 30):
        sing(number)
        clock.now += 10
        cluster.look(no)
        assert cluster.group.pid


def test_a_cluster_is_not_blamed_for_its_database(cluster: child.Cluster, clock: Clock) -> None:
    sing(1)
    cluster.look(no)
    assert watched_for(200, cluster, clock, no)
    # the database is back: the cluster has a while to notice
    assert watched_for(20, cluster, clock)
    assert not watched_for(20, cluster, clock)


def test_a_canary_may_wait_behind_long_tasks_but_not_behind_hung_ones(cluster: child.Cluster, clock: Clock, settings: Any) -> None:
    sing(1)
    cluster.look(yes)
    busy = {number: time.time() for number in range(settings.Q_CLUSTER["workers"])}
    with mock.patch.object(runfiles, "busy_workers", return_value=busy):
        for number in range(2, 10):
            clock.now += 10
            sing(number, canary=False)
            cluster.look(yes)
            assert cluster.group.pid
    hung = dict.fromkeys(busy, time.time() - settings.Q_CLUSTER["timeout"] - 100)
    with mock.patch.object(runfiles, "busy_workers", return_value=hung):
        for number in range(99, 115):
            clock.now += 1
            sing(number, canary=False)
            cluster.look(yes)
    assert not cluster.group.pid


def test_the_numbers_of_each_cluster_come_from_the_settings(settings: Any) -> None:
    assert child.cluster_setting("default", "timeout") == settings.TASK_TIMEOUT
    assert child.cluster_setting("deliveries", "timeout") == 60


def test_a_taken_port_is_named(settings: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings.BIND, settings.PORT = "127.0.0.1", other.getsockname()[1]
        with pytest.raises(child.CannotStart, match=rf"127\.0\.0\.1:{settings.PORT} \(Address already in use\).*set PORT"):
            child.web().check()
    child.web().check()


def test_a_taken_port_is_named_before_anything_is_prepared(settings: Any) -> None:
    from core.management.commands import supervise

    with socket.socket() as other, mock.patch.object(supervise, "call_command") as prepare:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings.BIND, settings.PORT = "127.0.0.1", other.getsockname()[1]
        with pytest.raises(CommandError, match="Address already in use"):
            call_command("supervise", only="web", prepare=True)
    prepare.assert_not_called()


def test_it_prepares_once_the_port_is_free(settings: Any) -> None:
    from core.management.commands import supervise

    with mock.patch.object(supervise, "call_command") as prepare, mock.patch.object(watch.Supervisor, "run") as run:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            settings.BIND, settings.PORT = "127.0.0.1", other.getsockname()[1]
        call_command("supervise", only="web", prepare=True)
    assert prepare.call_args.args == ("prepare",)
    run.assert_called_once_with()


def test_it_stops_in_order_and_leaves_nothing(programs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    web = child.Child("web", programs("web-like", SLEEP))
    workers = child.Cluster("default", programs("cluster-like", SLEEP))
    for watched in (web, workers):
        end = watched.ask_to_end
        monkeypatch.setattr(watched, "ask_to_end", lambda name=watched.name, end=end: (told.append(name), end()))
    monkeypatch.setattr(runfiles, "ask_to_stop", lambda name: told.append(f"stop {name}"))
    supervisor = watch.Supervisor([web, workers], on_ready=lambda: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        supervisor.run()
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    assert told == ["web", "stop default", "default"]
    assert (web.group.pid, workers.group.pid) == (0, 0)


def test_the_database_is_asked(transactional_db: None) -> None:
    assert database.answers()


def test_a_database_that_is_away_does_not_answer(tmp_path: Path, transactional_db: None) -> None:
    create = connections.create_connection

    def away(alias: str) -> Any:
        made = create(alias)
        elsewhere = {"NAME": str(tmp_path / "no" / "such")} if made.vendor == "sqlite" else {"HOST": str(tmp_path)}
        made.settings_dict = made.settings_dict | elsewhere
        return made

    with mock.patch.object(type(connections), "create_connection", side_effect=away):
        assert not database.answers()


def test_a_database_that_hangs_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PATIENCE_SECONDS", 0.05)
    answer = threading.Event()
    monkeypatch.setattr(database, "_ask", answer.wait)
    assert not database.answers()
    answer.set()


def test_it_buries_orphans_only_as_the_first_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with mock.patch.object(os, "waitid") as waitid:
        watch.reap(set())
        waitid.assert_not_called()
    orphan = subprocess.Popen(["/bin/true"])
    own = subprocess.Popen(["/bin/sleep", "60"])
    monkeypatch.setattr(os, "getpid", lambda: 1)
    wait_for(lambda: Path(f"/proc/{orphan.pid}/stat").read_text().split()[2] == "Z", "its death")
    watch.reap({own.pid})
    monkeypatch.undo()
    assert not Path(f"/proc/{orphan.pid}").exists()
    orphan.wait()
    own.kill()
    own.wait()


@pytest.mark.parametrize("names", ["workers", ",", "web,nonsense"])
def test_it_says_what_can_be_supervised(names: str) -> None:
    with pytest.raises(CommandError, match="--only takes any of web, default, deliveries"):
        call_command("supervise", only=names)


@pytest.mark.parametrize("first", [True, False])
def test_it_greets_once_the_portal_answers(first: bool, settings: Any, capsys: Any) -> None:
    from core.management.commands.supervise import Command, Greeting

    greeting = Greeting(Command())
    if first:
        greeting.mention_password()
    with mock.patch.object(alive, "web_answers", side_effect=[False, True]):
        for _ in range(4):
            greeting()
    said = capsys.readouterr().out
    assert said.count(settings.PUBLIC_URL + "/admin/") == 1
    assert f"user {settings.ADMIN_USERNAME}" in said
    assert ("(password printed above, at the first start)" in said) is first


def test_its_greeting_names_the_data_that_another_terminal_would_not_find(settings: Any, capsys: Any) -> None:
    from core.management.commands.supervise import Command, Greeting

    with mock.patch.object(alive, "web_answers", return_value=True):
        for folder in (Path("/srv/the data"), settings.BASE_DIR / "var"):
            settings.DATA_DIR = folder
            Greeting(Command())()
    elsewhere, usual = [line for line in capsys.readouterr().out.splitlines() if "createapikey" in line]
    assert "REPOGUARD_DATA_DIR='/srv/the data' .venv/bin/python manage.py createapikey" in elsewhere
    assert "REPOGUARD_DATA_DIR" not in usual


def test_a_health_check_asks_each_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("REPOGUARD_DATA_DIR", str(tmp_path))
    run = tmp_path / "run"
    run.mkdir()
    assert alive.main() == 1
    (run / "group.default.json").touch()
    assert alive.main() == 1
    (run / "canary.default").touch()
    assert alive.main() == 0
    os.utime(run / "canary.default", (1, 1))
    assert alive.main() == 1
    assert "default shows no sign of life" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "well"), [(b"HTTP/1.0 200 OK\r\n\r\n", True), (b"HTTP/1.0 400 Bad\r\n\r\n", False), (b"", False)])
def test_a_health_check_believes_only_a_200(answer: bytes, well: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        monkeypatch.setenv("PORT", str(server.getsockname()[1]))
        monkeypatch.setenv("ALLOWED_HOSTS", ".example.com, other")
        asked: list[bytes] = []

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(1000))
                connection.sendall(answer)

        serving = threading.Thread(target=serve)
        serving.start()
        assert alive.is_alive(tmp_path, "web") is well
        serving.join()
    assert b"Host: example.com\r\n" in asked[0]
    assert not alive.is_alive(tmp_path, "web")
