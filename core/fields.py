"""Fields for secrets at rest and for JSON kept to the letter.

The encrypted fields stand on django-fernet-fields-v2 and close its defects: values that are SQL expressions (bulk_update)
are encrypted value by value or refused instead of stored as their text, JSON works, and each token carries the id of the
key that made it, so that a rotation can be counted. A wrong key, plain text and damage raise; they are never returned.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, cast

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Case, Expression, Value, When
from fernet_fields import EncryptedTextField as FernetTextField
from fernet_fields import hkdf

DUMPED = "encrypted:"
JSONValue = None | bool | int | float | str | list[Any] | dict[str, Any]


class DecryptError(Exception):
    """A stored secret can't be read: its key is missing from FERNET_KEYS, or the value is damaged."""


def key_id(key: str) -> str:
    """Return the eight hex digits by which stored tokens name `key`; they say nothing about the key itself."""
    return hashlib.sha256(b"repoguard key id:" + key.encode()).hexdigest()[:8]


class EncryptedTextField(FernetTextField):
    """Text that is encrypted in the database; stored as `<key id>:<Fernet token>`.

    Filtering by value is refused (FieldError): equal values have different tokens.
    """

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Encrypt a value; expressions other than bulk_update's constants are refused."""
        if value is None:
            return None
        if isinstance(value, Case | Expression) or hasattr(value, "as_sql"):
            return self._encrypt_expression(value)
        return connection.Database.Binary(self.write(value))  # type: ignore[attr-defined]

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper, *args: Any) -> Any:
        """Decrypt a stored token; raises DecryptError."""
        return None if value is None else self.read(bytes(value))

    def write(self, value: Any) -> bytes:
        """Return the stored form of a value."""
        return self.encrypt(self.to_stored_text(value))

    def read(self, stored: bytes) -> Any:
        """Return the value of a stored form; raises DecryptError, and ValueError for a text that is none of this field's."""
        return self.from_stored_text(self.decrypt(stored))

    def value_to_string(self, obj: models.Model) -> str:
        """Return the value as dumpdata writes it: encrypted, readable where the same keys are set."""
        return DUMPED + self.write(self.value_from_object(obj)).decode()

    def to_python(self, value: Any) -> Any:
        """Return the value itself, or what value_to_string() made of it (loaddata); raises ValidationError."""
        if not isinstance(value, str) or not value.startswith(DUMPED):
            return value
        try:
            return self.read(value.removeprefix(DUMPED).encode())
        except DecryptError as error:
            raise ValidationError(str(error)) from error

    def to_stored_text(self, value: Any) -> str:
        """Return the text that is encrypted for `value`."""
        return str(value)

    def from_stored_text(self, text: str) -> Any:
        """Return the value for a decrypted text."""
        return text

    @classmethod
    def encrypt(cls, text: str) -> bytes:
        """Return the stored form of `text` under the first of FERNET_KEYS."""
        return cls.seal(text.encode())

    @classmethod
    def decrypt(cls, stored: bytes) -> str:
        """Return the text of a stored form; raises DecryptError, never returns what it could not read."""
        return cls.unseal(stored).decode()

    @staticmethod
    def seal(plain: bytes) -> bytes:
        """Return the stored form of bytes under the first of FERNET_KEYS."""
        key = settings.FERNET_KEYS[0]
        return key_id(key).encode() + b":" + _fernet(key).encrypt(plain)

    @staticmethod
    def unseal(stored: bytes) -> bytes:
        """Return the bytes of a stored form; raises DecryptError."""
        name, _, token = stored.partition(b":")
        for key in settings.FERNET_KEYS:
            if key_id(key).encode() == name:
                try:
                    return _fernet(key).decrypt(token)
                except InvalidToken as error:
                    raise DecryptError("A stored secret is damaged: its token does not match its key.") from error
        raise DecryptError(
            f"A stored secret was made with the key {name.decode('ascii', 'replace')[:20]}, which this process does not have. Restart it if"
            " FERNET_KEYS was changed since it started; else put that key back as a later entry."
        )

    def _encrypt_expression(self, value: Any) -> Any:
        # bulk_update hands over CASE WHEN pk = .. THEN Value(..); each constant is encrypted, anything else is refused
        source = value.get_source_expressions()[0] if type(value).__name__ == "Cast" else value
        if not isinstance(source, Case):
            raise FieldError(f"{type(self).__name__} can't be set from an expression: the database can't encrypt.")
        for case in source.cases:
            if not isinstance(case, When) or not isinstance(case.result, Value):
                raise FieldError(f"{type(self).__name__} can't be set from an expression: the database can't encrypt.")
            plain = case.result.value
            # BinaryField makes of it what the database takes
            case.result = Value(None if plain is None else self.write(plain), output_field=models.BinaryField())
        return value


class EncryptedJSONField(EncryptedTextField):
    """A JSON value that is encrypted in the database, with the types it was given."""

    def to_stored_text(self, value: Any) -> str:
        """Return compact JSON."""
        return json.dumps(value, separators=(",", ":"))

    def from_stored_text(self, text: str) -> JSONValue:
        """Parse the JSON."""
        return cast("JSONValue", json.loads(text))

    def get_prep_value(self, value: Any) -> Any:
        """Leave the value as it is: it becomes text when it is encrypted."""
        return value


class EncryptedBytesField(EncryptedTextField):
    """Bytes that are encrypted in the database."""

    def write(self, value: Any) -> bytes:
        """Return the stored form of bytes."""
        return self.seal(bytes(value))

    def read(self, stored: bytes) -> Any:
        """Return the bytes of a stored form; raises DecryptError."""
        return self.unseal(stored)

    def get_prep_value(self, value: Any) -> Any:
        """Leave the value as it is."""
        return value


class RawJSONField(models.TextField):  # type: ignore[type-arg]
    """JSON kept as ASCII text, to the letter: numbers, order, `\\u0000` and lone surrogates survive, which jsonb loses.

    SQL that reads the column gets the text, ready to be sent; Python gets the parsed value. NaN and infinity are refused
    with ValueError.
    """

    @staticmethod
    def dump(value: Any) -> str:
        """Return the stored text of a value."""
        return json.dumps(value, separators=(",", ":"), allow_nan=False)

    def get_prep_value(self, value: Any) -> str | None:
        """Turn a value into its stored text; a RawJSON text is taken as it is."""
        if value is None or hasattr(value, "as_sql"):
            return cast("str | None", value)
        return str(value) if isinstance(value, RawJSON) else self.dump(value)

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> JSONValue:
        """Parse the stored text."""
        return None if value is None else cast("JSONValue", json.loads(value))

    def to_python(self, value: Any) -> Any:
        """Leave the value as it is."""
        return value

    def value_to_string(self, obj: models.Model) -> Any:
        """Return the value itself: the serializers of dumpdata write JSON."""
        return self.value_from_object(obj)


class RawJSON(str):
    """A text that already is what RawJSONField.dump would make: publishers that know its size dump once."""

    __slots__ = ()


_cache: dict[str, Fernet] = {}


def _fernet(key: str) -> Fernet:
    # deriving a key costs about 30 us: kept by the key itself, so that changed settings take effect
    if key not in _cache:
        _cache[key] = Fernet(hkdf.derive_fernet_key(key))
    return _cache[key]
