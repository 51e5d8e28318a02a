"""`rotate_keys`, `generate_key`, and that a key which values need can't be dropped."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import AuditEntry
from core import keys_in_use
from core.errors import Conflict
from core.fields import key_id
from core.models import EncryptionKey
from core.progress import ProgressLine
from repoguard import checks
from tests.factories import WebhookFactory
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db
OLD, NEW, OTHER = "old key, long and dull", "new key, long and dull", "a key of somebody else"


@pytest.fixture(autouse=True)
def _old_key(settings: Any) -> None:
    settings.FERNET_KEYS = [OLD]


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("rotate_keys", *arguments, stdout=out)
    return out.getvalue()


def hook() -> Webhook:
    made: Webhook = WebhookFactory.create(headers={"X-A": "1"})
    return made


def errors() -> list[str]:
    return [str(message.msg) for message in checks.check_keys_in_use(None)]


# --- the command ------------------------------------------------------------------------------------------------------


def test_a_run_re_encrypts_verifies_and_leaves_a_trace(settings: Any) -> None:
    hook()
    settings.FERNET_KEYS = [NEW, OLD]
    said = run()
    assert f"Re-encrypting 2 values under {key_id(NEW)}." in said
    assert f"Every value can be read and is under {key_id(NEW)}." in said
    settings.FERNET_KEYS = [NEW]
    assert Webhook.objects.get().headers == {"X-A": "1"}
    actions = list(AuditEntry.objects.order_by("id").values_list("action", "actor", "object_id"))
    assert actions == [(f"rotate-keys: {word}", "command rotate_keys", key_id(NEW)) for word in ("started", "finished")]


def test_it_waits_until_the_portal_was_started_with_the_new_key(settings: Any) -> None:
    """Otherwise the processes that run could read nothing of what it writes."""
    hook()
    keys_in_use.refuse_missing()  # as each start does
    settings.FERNET_KEYS = [NEW, OLD]
    for arguments in ((), ("--status",), ()):
        if arguments:
            run(*arguments)
            continue
        with pytest.raises(CommandError, match=f"not started with the key {key_id(NEW)} yet"):
            run()
    assert keys_in_use.status()[1].total == 2
    keys_in_use.refuse_missing()
    assert "Re-encrypting 2 values" in run()


def test_a_portal_that_does_not_run_need_not_be_started(settings: Any) -> None:
    hook()
    keys_in_use.refuse_missing()
    settings.FERNET_KEYS = [NEW, OLD]
    assert "Re-encrypting 2 values" in run("--stopped")


def test_a_second_run_has_nothing_to_do(settings: Any) -> None:
    hook()
    settings.FERNET_KEYS = [NEW, OLD]
    run()
    assert "Re-encrypting 0 values" in run()


def test_a_dry_run_changes_nothing(settings: Any) -> None:
    hook()
    settings.FERNET_KEYS = [NEW, OLD]
    assert "2 values would be re-encrypted" in run("--dry-run")
    assert keys_in_use.status()[1].total == 2
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("arguments", [(), ("--verify",)])
def test_it_fails_and_names_what_cannot_be_read(settings: Any, arguments: tuple[str, ...]) -> None:
    bad = hook()
    settings.FERNET_KEYS = [NEW]
    with pytest.raises(CommandError, match="2 values can't be read") as caught:
        run(*arguments)
    assert "webhooks.Webhook.headers of " in str(caught.value)
    assert bad.pk.hex in str(caught.value).replace("-", "")


def test_it_fails_when_a_process_still_writes_with_the_old_key(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hook()
    settings.FERNET_KEYS = [NEW, OLD]
    monkeypatch.setattr("core.encrypted_columns.EncryptedColumn.replace", lambda self, changes: 0)
    with pytest.raises(CommandError, match=f"2 under {key_id(OLD)}: a process that was not restarted"):
        run()


def test_verifying_is_content_with_several_keys(settings: Any) -> None:
    hook()
    settings.FERNET_KEYS = [NEW, OLD]
    hook()
    assert "Every value can be read." in run("--verify")


def test_the_status_says_which_key_can_be_dropped(settings: Any) -> None:
    hook()
    settings.FERNET_KEYS = [NEW, OLD]
    assert "No key can be dropped" in (before := run("--status"))
    assert f"{key_id(OLD)}  number 2 of FERNET_KEYS, still in use" in before
    run()
    after = run("--status")
    assert f"{key_id(NEW)}  encrypts (first of FERNET_KEYS)" in after
    assert f"Can be dropped from FERNET_KEYS: {key_id(OLD)}." in after


@pytest.mark.parametrize("batch", ["0", "10001", "-1"])
def test_a_batch_is_bounded(batch: str) -> None:
    with pytest.raises(CommandError, match="--batch must be"):
        run("--batch", batch)


def test_generate_key_prints_a_key_that_the_portal_takes(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("generate_key")
    key = capsys.readouterr().out.split()[-1]
    assert len(base64.urlsafe_b64decode(key)) == 32
    settings.FERNET_KEYS = [key]
    assert "repoguard.E011" not in {message.id for message in checks.problems(settings)}


# --- a key in use can't be dropped ------------------------------------------------------------------------------------


def test_dropping_a_key_in_use_is_refused_with_fields_counts_and_id(settings: Any) -> None:
    hook()
    hook()
    assert errors() == []
    keys_in_use.refuse_missing()
    settings.FERNET_KEYS = [NEW]
    (error,) = errors()
    assert f"{key_id(OLD)} (2 of webhooks.Webhook.headers, 2 of webhooks.Webhook.secrets)" in error
    with pytest.raises(CommandError, match=key_id(OLD)):
        call_command("prepare")
    with pytest.raises(CommandError, match=key_id(OLD)) as refused:
        call_command("supervise", "--only", "default")
    assert refused.value.returncode == 2
    settings.FERNET_KEYS = [NEW, OLD]
    assert errors() == []


def test_it_is_noticed_however_many_newer_values_there_are(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.encrypted_columns._NEWEST", 1)
    hook()
    keys_in_use.refuse_missing()
    settings.FERNET_KEYS = [NEW]
    hook()
    assert len(errors()) == 1


def test_values_of_another_installation_are_noticed(settings: Any) -> None:
    keys_in_use.refuse_missing()
    settings.FERNET_KEYS = [OTHER]
    hook()
    settings.FERNET_KEYS = [OLD]
    assert key_id(OTHER) in errors()[0]


def test_the_first_start_after_an_update_looks_at_everything(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.encrypted_columns._NEWEST", 1)
    hook()
    settings.FERNET_KEYS = [NEW]
    hook()
    assert not EncryptionKey.objects.exists()
    with pytest.raises(Conflict, match=key_id(OLD)):
        keys_in_use.refuse_missing()


def test_a_start_counts_no_table_when_nothing_was_dropped(settings: Any) -> None:
    hook()
    settings.FERNET_KEYS = [NEW, OLD]
    keys_in_use.refuse_missing()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert keys_in_use.missing() == []
    assert not [query["sql"] for query in queries if "count(" in query["sql"].lower()]
    assert all("LIMIT" in query["sql"] for query in queries if "substr" in query["sql"])


def test_a_key_that_nothing_needs_may_go_and_is_not_looked_for_again(settings: Any) -> None:
    hook()
    keys_in_use.refuse_missing()
    settings.FERNET_KEYS = [NEW, OLD]
    keys_in_use.refuse_missing()
    run()
    settings.FERNET_KEYS = [NEW]
    assert errors() == []
    keys_in_use.refuse_missing()
    assert EncryptionKey.objects.get(pk=key_id(OLD)).retired_at is not None
    with CaptureQueriesContext(connection) as queries:
        keys_in_use.refuse_missing()
    assert not [query["sql"] for query in queries if "count(" in query["sql"].lower()]


def test_a_key_that_comes_back_is_watched_again(settings: Any) -> None:
    for keys in ([OLD], [NEW], [OLD, NEW]):
        settings.FERNET_KEYS = keys
        keys_in_use.refuse_missing()
    assert list(EncryptionKey.objects.filter(retired_at=None).values_list("key_id", flat=True).order_by("key_id")) == sorted(
        [key_id(OLD), key_id(NEW)]
    )


def test_a_lost_key_can_be_given_up_and_then_the_portal_starts(settings: Any) -> None:
    hook()
    keys_in_use.refuse_missing()
    settings.FERNET_KEYS = [NEW]
    assert "given up" in run("--give-up", key_id(OLD))
    assert errors() == []
    keys_in_use.refuse_missing()
    assert f"{key_id(OLD)}  given up as lost" in run("--status")
    assert AuditEntry.objects.get().action == "rotate-keys: gave up"


@pytest.mark.parametrize(
    ("name", "sentence"), [(key_id(OLD), "is in FERNET_KEYS"), ("00000000", "No stored value names"), ("no key", "No st")]
)
def test_only_a_lost_key_is_given_up(name: str, sentence: str) -> None:
    hook()
    with pytest.raises(CommandError, match=sentence):
        run("--give-up", name)


def test_damaged_values_do_not_stop_a_start(settings: Any) -> None:
    hook()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE webhooks_webhook SET headers = %s", [b"never encrypted"])
    assert errors() == []
    assert "no key  values that are damaged" in run("--status")


def test_a_database_without_tables_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def away() -> list[Any]:
        raise OperationalError("no such table")

    monkeypatch.setattr(keys_in_use, "missing", away)
    assert [message.id for message in checks.check_keys_in_use(None)] == ["repoguard.I012"]


# --- progress ---------------------------------------------------------------------------------------------------------


class Screen(io.StringIO):
    def write(self, text: str, ending: str = "\n") -> int:  # type: ignore[override]
        return super().write(text + ("" if text.endswith(ending) else ending))


class Terminal(Screen):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("core.progress.time.monotonic", lambda: now[0])
    bar = ProgressLine(out := Terminal(), "re-encrypted", 1000)
    now[0] = 102.0
    bar(400)
    assert "re-encrypted: 400 of 1,000, 200/s, 0:03 left" in out.getvalue()
    assert "\n" not in out.getvalue()
    bar(600)
    bar.finish()
    assert out.getvalue().count("[" + "#" * 30 + "]") == 1
    assert out.getvalue().endswith("\n")


def test_a_log_gets_a_plain_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("core.progress.time.monotonic", lambda: now[0])
    line = ProgressLine(out := Screen(), "verified", 300)
    for _ in range(3):
        now[0] += 3
        line(100)
    line.finish()
    assert out.getvalue().splitlines() == ["verified: 200 of 300, 33/s, 0:03 left", "verified: 300 of 300, 33/s"]
