"""What is wrong with a connector's declarations: for the system check, and for the contract tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from core.errors import InvalidInput
from integrations.choices import Category
from integrations.contract.backfill import Backfill
from integrations.contract.connector import Connector
from integrations.contract.fields import Field, FieldKind
from integrations.contract.inbound import Receiver
from integrations.contract.kinds import MISSING, checked_value
from integrations.contract.outbound import Destination

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_KEY = 40
_WITH_CHOICES = (FieldKind.CHOICE, FieldKind.WORDS)


def problems(connector: type[Connector]) -> list[str]:
    """Return a sentence for everything that is wrong with a connector's key, words and fields."""
    return list(_problems(connector))


def _problems(connector: type[Connector]) -> Iterator[str]:
    if not _NAME.fullmatch(connector.key) or len(connector.key) > _LONGEST_KEY:
        yield f"the key {connector.key!r} is not made of lower case words joined by underscores, at most {_LONGEST_KEY} characters."
    if not connector.title or not connector.description:
        yield "it has no title or no description."
    if not connector.categories or any(category not in Category for category in connector.categories):
        yield "it has no category, or an unknown one."
    if connector.docs and not connector.docs.startswith("https://"):
        yield "its docs are no https:// address."
    yield from _of_fields(connector.fields, ())
    if issubclass(connector, Destination):
        yield from _of_fields(connector.destination_fields, connector.fields)
        secret = [field.name for field in connector.destination_fields if field.secret]
        if secret:  # a webhook's options are shown
            yield f"its destination field {secret[0]} is secret; secrets belong to the integration."
    if issubclass(connector, Receiver):
        yield from _of_fields(connector.source_fields, ())
        secret = [field.name for field in connector.source_fields if field.secret]
        if secret:  # a source's fields are shown; its one secret is kept apart
            yield f"its source field {secret[0]} is secret; a source has one secret, beside its fields."
    if issubclass(connector, Backfill):
        known = {field.name for field in connector.source_fields}
        if unknown := sorted({*connector.backfill_needs, *connector.backfill_options} - known):
            yield f"missed deliveries need {unknown[0]}, which is none of its source fields."


def _of_fields(fields: Sequence[Field], outer: Sequence[Field]) -> Iterator[str]:
    names = [field.name for field in fields]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"the field {name} is declared twice."
    for place, field in enumerate(fields):
        for sentence in _of_field(field, [*outer, *fields[:place]]):
            yield f"the field {field.name} {sentence}"


def _of_field(field: Field, known: Sequence[Field]) -> Iterator[str]:
    if not _NAME.fullmatch(field.name):
        yield "is not named in lower case words joined by underscores."
    if not field.title:
        yield "has no title."
    if field.secret and (field.default is not None or field.placeholder):
        yield "is secret and has a default or placeholder; secrets are never proposed."
    if field.secret and field.kind in (FieldKind.BOOLEAN, FieldKind.CHOICE, FieldKind.INTEGER, FieldKind.NUMBER):
        yield "is secret, but of a kind that can be guessed; make it a text."
    if field.kind == FieldKind.CHOICE and not field.choices:
        yield "is a choice without choices."
    if field.choices and field.kind not in _WITH_CHOICES:
        yield "has choices, but is none."
    if field.link and not field.link.startswith("https://"):
        yield "has a link that is no https:// address."
    if field.low is not None and field.high is not None and field.low > field.high:
        yield "has a low above its high."
    yield from _of_values(field)
    yield from _of_condition(field, known)


def _of_values(field: Field) -> Iterator[str]:
    try:
        re.compile(field.pattern)
    except re.error as error:
        yield f"has a pattern that can't be compiled: {error}."
        return
    if field.kind == FieldKind.CHOICE and not field.choices:
        return
    for word, value in (("default", field.default), ("example", field.example)):
        if value is None or value == "":
            continue
        try:
            if checked_value(field, value, word) is MISSING:
                yield f"has an empty {word}."
        except InvalidInput as error:
            yield f"has a {word} that its own rules refuse: {error.message}"


def _of_condition(field: Field, known: Sequence[Field]) -> Iterator[str]:
    if field.only_if is None:
        return
    name, values = field.only_if
    choice = next((other for other in known if other.name == name), None)
    if choice is None:
        yield f"depends on {name}, which is no field declared before it."
    elif choice.kind != FieldKind.CHOICE or choice.secret:
        yield f"depends on {name}, which is no open choice."
    elif unknown := sorted(set(values) - {value for value, _ in choice.choices}) or (not values and ["none is named"]):
        yield f"depends on values of {name} that it does not have: {', '.join(unknown)}."
    if choice is not None and choice.secret != field.secret and not field.secret:
        yield f"is open and depends on the secret {name}."
