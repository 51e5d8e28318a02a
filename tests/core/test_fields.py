"""Each defect of the package that the encrypted fields stand on, and that it is closed; on whichever database is under test."""

from __future__ import annotations

import io
import json
import pickle
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core import serializers
from django.core.exceptions import FieldError, ValidationError
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Concat, Upper
from django.forms import modelform_factory
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from core.fields import DecryptError, EncryptedJSONField, EncryptedTextField, RawJSON, RawJSONField, key_id
from tests.factories import EventFactory, WebhookFactory
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db
OLD, NEW, OTHER = "old key, long and dull", "new key, long and dull", "a key of somebody else"


class Sample(models.Model):
    """A table of its own, made for these tests."""

    text = EncryptedTextField(null=True)
    data = EncryptedJSONField(null=True)
    raw = RawJSONField(null=True)
    plain = models.TextField(default="plain")

    class Meta:
        app_label = "fields_of_tests"  # no installed app: nothing that goes through all models meets this one
        db_table = "test_fields_sample"

    def __str__(self) -> str:
        return str(self.pk)


@pytest.fixture(autouse=True)
def _table(db: None, settings: Any) -> None:
    settings.FERNET_KEYS = [OLD]
    with connection.cursor() as cursor:
        binary = "bytea" if connection.vendor == "postgresql" else "BLOB"
        serial = "serial PRIMARY KEY" if connection.vendor == "postgresql" else "integer PRIMARY KEY AUTOINCREMENT"
        # goes with the test's transaction
        cursor.execute(f"CREATE TABLE test_fields_sample (id {serial}, text {binary}, data {binary}, raw text, plain text)")


def stored(column: str = "text") -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM test_fields_sample ORDER BY id")
        return [None if row[0] is None else bytes(row[0]) for row in cursor.fetchall()]


def put(value: bytes) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE test_fields_sample SET text = %s", [value])


def read() -> Any:
    return Sample.objects.order_by("id").values_list("text", flat=True)[0]


# --- what is stored ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["secret", "", "0", "None", "größe 😀", "a\0b", "x" * 100_000, "encrypted", "12345678:x"])
def test_text_comes_back_as_it_went_in_and_is_not_stored_in_clear(text: str) -> None:
    row = Sample.objects.create(text=text)
    row.refresh_from_db()
    assert row.text == text
    assert stored()[0].startswith(key_id(OLD).encode() + b":")
    assert not text.strip("0") or text.encode() not in stored()[0]


def test_none_stays_none_and_can_be_asked_for() -> None:
    Sample.objects.create(text=None)
    Sample.objects.create(text="")
    assert stored()[0] is None
    assert Sample.objects.filter(text__isnull=True).count() == 1
    assert list(Sample.objects.order_by("id").values_list("text", flat=True)) == [None, ""]


def test_equal_texts_have_different_tokens() -> None:
    Sample.objects.create(text="same")
    Sample.objects.create(text="same")
    assert len(set(stored())) == 2


JSON = [0, 5, -1.5, True, False, "", "5", "None", [], {}, [1, None, {"a": [True]}], {"1": 2}, "\ud800", "a\0b", 10**40]


@pytest.mark.parametrize("value", JSON, ids=repr)
def test_json_keeps_its_types(value: Any) -> None:
    row = Sample.objects.create(data=value)
    row.refresh_from_db()
    assert row.data == value
    assert type(row.data) is type(value)


def test_json_keys_are_not_readable() -> None:
    Sample.objects.create(data={"Authorization": "Bearer x"})
    assert b"Authorization" not in stored("data")[0]


# --- every way to write -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["new", "", None])
def test_bulk_update_stores_the_values(value: str | None) -> None:
    rows = [Sample.objects.create(text=f"old {number}", data={"n": number}) for number in range(3)]
    for number, row in enumerate(rows):
        row.text = value if value is None else f"{value}{number}"
        row.data = {"new": number}
    Sample.objects.bulk_update(rows, ["text", "data"])
    texts = [None] * 3 if value is None else [f"{value}{number}" for number in range(3)]
    assert list(Sample.objects.order_by("id").values_list("text", flat=True)) == texts
    assert list(Sample.objects.order_by("id").values_list("data", flat=True)) == [{"new": number} for number in range(3)]
    assert all(token is None or token.startswith(key_id(OLD).encode()) for token in stored())


def test_bulk_update_of_several_batches_encrypts_each_value_once() -> None:
    rows = [Sample.objects.create(text="old") for _ in range(5)]
    for row in rows:
        row.text = "new"
    Sample.objects.bulk_update(rows, ["text"], batch_size=2)
    assert set(Sample.objects.values_list("text", flat=True)) == {"new"}


def test_bulk_create_update_and_upsert_store_the_values() -> None:
    Sample.objects.bulk_create([Sample(text="a", data=[1]), Sample(text="b", data=None)])
    Sample.objects.filter(data__isnull=True).update(text="c", data={"x": 1})
    assert list(Sample.objects.order_by("id").values_list("text", "data")) == [("a", [1]), ("c", {"x": 1})]
    first = Sample.objects.earliest("id")
    again = Sample(id=first.id, text="upserted", data=2)
    Sample.objects.bulk_create([again], update_conflicts=True, unique_fields=["id"], update_fields=["text", "data"])
    assert Sample.objects.values_list("text", "data").earliest("id") == ("upserted", 2)


@pytest.mark.parametrize("expression", [F("plain"), F("text"), Upper("plain"), Concat(Value("a"), F("plain")), Value("constant")], ids=repr)
def test_an_expression_is_refused_and_stores_nothing(expression: Any) -> None:
    row = Sample.objects.create(text="kept")
    with pytest.raises(FieldError, match="can't be set from an expression"), transaction.atomic():
        Sample.objects.update(text=expression)
    row.text = expression
    with pytest.raises(FieldError), transaction.atomic():
        row.save()
    if not isinstance(expression, Value):  # that is what bulk_update itself would make of a value
        with pytest.raises(FieldError), transaction.atomic():
            Sample.objects.bulk_update([row], ["text"])
    assert read() == "kept"


def test_an_expression_on_insert_is_refused() -> None:
    with pytest.raises(FieldError):
        Sample.objects.create(text=Value("x"))


# --- what can't be read raises ----------------------------------------------------------------------------------------


def test_a_wrong_key_raises_and_returns_nothing(settings: Any) -> None:
    Sample.objects.create(text="secret")
    settings.FERNET_KEYS = [OTHER]
    with pytest.raises(DecryptError, match="which this process does not have"):
        read()
    with pytest.raises(DecryptError):
        Sample.objects.get()


def test_after_a_wrong_key_the_next_read_with_the_right_one_works(settings: Any) -> None:
    Sample.objects.create(text="secret")
    settings.FERNET_KEYS = [OTHER]
    with pytest.raises(DecryptError):
        read()
    settings.FERNET_KEYS = [OLD]
    assert read() == "secret"


@pytest.mark.parametrize(
    "bad",
    [b"plain text", b"", b"12345678:", b":", Fernet(Fernet.generate_key()).encrypt(b"x")],
    ids=["text", "nothing", "no token", "no key", "foreign"],
)
def test_plain_text_and_foreign_tokens_raise(bad: bytes) -> None:
    Sample.objects.create(text="secret")
    put(bad)
    with pytest.raises(DecryptError):
        read()


def test_a_damaged_token_raises() -> None:
    Sample.objects.create(text="secret")
    token = stored()[0]
    for broken in (token[:-5] + b"AAAAA", token[:30], key_id(OLD).encode() + b":" + b"\xff\xfe"):
        put(broken)
        with pytest.raises(DecryptError, match="damaged"):
            read()


def test_no_error_shows_the_secret_or_its_key(settings: Any) -> None:
    Sample.objects.create(text="the secret")
    settings.FERNET_KEYS = [OTHER]
    with pytest.raises(DecryptError) as caught:
        read()
    assert not {"the secret", OLD, OTHER} & set(str(caught.value).split("'"))
    assert stored()[0].decode() not in str(caught.value)


# --- rotation ---------------------------------------------------------------------------------------------------------


def test_keys_rotate_one_after_the_other(settings: Any) -> None:
    row = Sample.objects.create(text="secret", data={"a": 1})
    settings.FERNET_KEYS = [NEW, OLD]
    assert read() == "secret"
    row.refresh_from_db()
    row.save()
    assert stored()[0].startswith(key_id(NEW).encode())
    settings.FERNET_KEYS = [NEW]
    row.refresh_from_db()
    assert (row.text, row.data) == ("secret", {"a": 1})
    settings.FERNET_KEYS = [OLD]
    with pytest.raises(DecryptError):
        read()


def test_which_rows_still_need_the_old_key_can_be_counted(settings: Any) -> None:
    Sample.objects.create(text="a")
    settings.FERNET_KEYS = [NEW, OLD]
    Sample.objects.create(text="b")
    assert [token.split(b":")[0].decode() for token in stored()] == [key_id(OLD), key_id(NEW)]


def test_a_key_id_says_nothing_about_the_key() -> None:
    assert len(key_id(OLD)) == 8
    assert key_id(OLD) != key_id(NEW)
    assert OLD not in key_id(OLD)


# --- looking for it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        {"text": "x"},
        {"text__exact": "x"},
        {"text__in": ["x"]},
        {"text__contains": "x"},
        {"text__gt": "x"},
        {"text__startswith": "x"},
        {"data": {}},
    ],
    ids=str,
)
def test_looking_for_a_value_is_refused(condition: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match="does not support lookups"):
        list(Sample.objects.filter(**condition))
    with pytest.raises(FieldError):
        list(Sample.objects.exclude(Q(**condition)))


# --- where it must not show -------------------------------------------------------------------------------------------


def test_it_is_in_no_repr_form_or_fixture() -> None:
    hook = WebhookFactory(headers={"Authorization": "Bearer hush-hush"})
    secret = hook.secrets[0]["secret"]
    assert secret not in f"{hook!r} {hook} {Webhook.objects.filter(id=hook.id)!r}"
    for name in ("secrets", "headers"):
        with pytest.raises(FieldError, match="non-editable"):
            modelform_factory(Webhook, fields=[name])
    out = io.StringIO()
    call_command("dumpdata", "webhooks.webhook", stdout=out)
    assert secret not in out.getvalue()
    assert "hush-hush" not in out.getvalue()


@pytest.mark.parametrize("value", [{"a": 1}, "text", "5", 5, [None], ""], ids=repr)
def test_a_fixture_loads_again_under_the_same_keys(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "get_model", lambda *name: Sample)
    row = Sample.objects.create(text="secret", data=value, raw={"n": [1, None]})
    dumped = serializers.serialize("json", [row])
    assert "secret" not in dumped
    assert json.loads(dumped)[0]["fields"]["raw"] == {"n": [1, None]}
    Sample.objects.all().delete()
    for loaded in serializers.deserialize("json", dumped):
        loaded.save()
    back = Sample.objects.get()
    assert (back.text, back.data, back.raw) == ("secret", value, {"n": [1, None]})


def test_a_fixture_of_other_keys_is_refused(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "get_model", lambda *name: Sample)
    dumped = serializers.serialize("json", [Sample(id=1, text="secret")])
    settings.FERNET_KEYS = [OTHER]
    with pytest.raises(serializers.base.DeserializationError):
        list(serializers.deserialize("json", dumped))
    with pytest.raises(ValidationError, match="FERNET_KEYS"):
        Sample._meta.get_field("text").to_python(json.loads(dumped)[0]["fields"]["text"])


def test_none_in_a_fixture_is_null() -> None:
    assert json.loads(serializers.serialize("json", [Sample(id=1)]))[0]["fields"]["text"] is None


def test_the_fields_survive_pickling_and_cloning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "get_model", lambda *name: Sample)
    row = pickle.loads(pickle.dumps(Sample.objects.create(text="secret")))
    assert row.text == "secret"
    for name in ("text", "data", "raw"):
        field = Sample._meta.get_field(name)
        assert type(field.clone()) is type(field)


# --- JSON to the letter -----------------------------------------------------------------------------------------------


def raw_text() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT raw FROM test_fields_sample")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("value", [*JSON, {"z": 1, "a": 2}, 1e-300, 2**80], ids=repr)
def test_raw_json_comes_back_as_it_went_in(value: Any) -> None:
    row = Sample.objects.create(raw=value)
    row.refresh_from_db()
    assert row.raw == value
    assert raw_text() == RawJSONField.dump(value)
    assert raw_text().isascii()


def test_raw_json_keeps_the_order_of_members() -> None:
    Sample.objects.create(raw={"z": 1, "a": 2})
    assert raw_text() == '{"z":1,"a":2}'


def test_a_text_that_is_json_already_is_stored_as_it_is() -> None:
    Sample.objects.create(raw=RawJSON('{"a": 1}'))
    assert raw_text() == '{"a": 1}'
    assert Sample.objects.get().raw == {"a": 1}


def test_raw_json_takes_null_and_expressions() -> None:
    row = Sample.objects.create(raw=None)
    assert raw_text() is None
    row.refresh_from_db()
    assert row.raw is None
    Sample.objects.update(raw=Value(RawJSON("[1]"), output_field=models.TextField()))
    assert Sample.objects.get().raw == [1]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_raw_json_refuses_what_json_cannot_say(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        Sample.objects.create(raw=value)


def test_an_events_payload_is_dumped_as_json() -> None:
    event = EventFactory(payload={"a": {"b": None}})
    event.refresh_from_db()
    assert json.loads(serializers.serialize("json", [event]))[0]["fields"]["payload"] == {"a": {"b": None}}


class PropertyTest(TestCase):
    """Hypothesis resets the database between examples here."""

    @given(st.text(st.characters(exclude_categories=("Cs",))))
    def test_any_text_survives(self, text: str) -> None:
        assert EncryptedTextField.decrypt(EncryptedTextField.encrypt(text)) == text
