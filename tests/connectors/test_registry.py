"""The registry, its system check, and that no connector is without its contract tests."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidInput
from integrations import registry
from integrations.checks import check_connectors, found_in
from integrations.choices import Category
from integrations.connectors.http.connector import HttpConnector
from integrations.connectors.stripe.connector import Stripe
from integrations.contract.connector import Checker, Connector
from integrations.contract.declarations import problems
from integrations.contract.fields import Field, FieldKind
from integrations.contract.scans import ScanSource
from tests.connectors.contract import ConnectorContract

HERE = Path(__file__).parent
CHOICE = Field("mode", "Mode", FieldKind.CHOICE, choices=(("a", "A"), ("b", "B")), default="a")


def made(*fields: Field, **attributes: Any) -> type[Connector]:
    words = {"key": "made_up", "title": "Made up", "description": "For a test.", "categories": (Category.SECURITY,), "fields": fields}
    return type("MadeUp", (Connector,), words | attributes)


def connectors_in(folder: Path) -> Iterator[type[Connector]]:
    for path in folder.glob("test_*.py"):
        module = importlib.import_module(f"tests.connectors.{folder.name}.{path.stem}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, ConnectorContract) and value is not ConnectorContract:
                yield value.connector


@pytest.mark.parametrize("connector", registry.CONNECTORS, ids=lambda connector: connector.key)
def test_every_connector_has_contract_tests_in_its_own_folder(connector: type[Connector]) -> None:
    assert connector in set(connectors_in(HERE / connector.key)), (
        f"tests/connectors/{connector.key}/ needs a class that inherits ConnectorContract"
    )


def test_every_folder_of_connectors_is_registered() -> None:
    folders = {path.name for path in (HERE.parents[1] / "integrations" / "connectors").iterdir() if (path / "__init__.py").exists()}
    modules = {connector.__module__.split(".")[2] for connector in registry.CONNECTORS}
    assert folders == modules == {connector.key for connector in registry.CONNECTORS}


def test_a_connector_is_found_by_its_key_and_by_what_it_can_do() -> None:
    assert registry.find("http") is HttpConnector
    assert HttpConnector in registry.with_capability(Checker)
    assert HttpConnector not in registry.with_capability(ScanSource)
    with pytest.raises(InvalidInput, match=r"'nothing' is no connector; there are .*http"):
        registry.find("nothing")


def test_integrations_are_made_of_what_does_more_than_receive() -> None:
    assert HttpConnector in registry.for_integrations()
    assert not any(registry.only_receives(connector) for connector in registry.for_integrations())
    assert registry.only_receives(registry.find("stripe"))


def test_the_registered_connectors_pass_the_system_check() -> None:
    assert check_connectors(None) == []


def test_a_key_that_two_connectors_have_is_found() -> None:
    assert [message.id for message in found_in([made(CHOICE), made()])] == ["repoguard.E030"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ([Field("a", "A"), Field("a", "A")], "the field a is declared twice"),
        ([Field("Bad-Name", "A")], "lower case words"),
        ([Field("a", "")], "has no title"),
        ([Field("a", "A", secret=True, default="x")], "secret and has a default"),
        ([Field("a", "A", secret=True, placeholder="x")], "secret and has a default or placeholder"),
        ([Field("a", "A", FieldKind.BOOLEAN, secret=True)], "of a kind that can be guessed"),
        ([Field("a", "A", FieldKind.CHOICE)], "a choice without choices"),
        ([Field("a", "A", choices=(("x", "X"),))], "has choices, but is none"),
        ([Field("a", "A", link="http://x")], "no https"),
        ([Field("a", "A", FieldKind.INTEGER, low=3, high=1)], "low above its high"),
        ([Field("a", "A", pattern="(")], "can't be compiled"),
        ([Field("a", "A", FieldKind.INTEGER, default="3")], "default that its own rules refuse"),
        ([replace(CHOICE, default="c")], "default that its own rules refuse"),
        ([Field("a", "A", pattern="[0-9]+", example="x")], "example that its own rules refuse"),
        ([Field("a", "A", only_if=("mode", ("a",))), CHOICE], "no field declared before it"),
        ([Field("b", "B"), Field("a", "A", only_if=("b", ("a",)))], "which is no open choice"),
        ([CHOICE, Field("a", "A", only_if=("mode", ("c",)))], "values of mode that it does not have: c"),
        ([CHOICE, Field("a", "A", only_if=("mode", ()))], "values of mode that it does not have"),
    ],
)
def test_a_wrong_field_is_found(fields: list[Field], sentence: str) -> None:
    found = problems(made(*fields))
    assert any(sentence in problem for problem in found), found
    assert [message.id for message in found_in([made(*fields)])] == ["repoguard.E031"] * len(found)


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"key": "Bad Key"}, "the key 'Bad Key'"),
        ({"title": ""}, "no title"),
        ({"categories": ()}, "no category"),
        ({"docs": "ftp://x"}, "its docs"),
    ],
)
def test_wrong_words_are_found(attributes: dict[str, Any], sentence: str) -> None:
    assert any(sentence in problem for problem in problems(made(**attributes)))


def test_a_secret_option_of_a_webhook_is_found() -> None:
    connector = type("Told", (HttpConnector,), {"destination_fields": (Field("a", "A", secret=True),)})
    assert any("its destination field a is secret" in problem for problem in problems(connector))


def test_a_source_field_is_checked_like_any_other() -> None:
    fields = (Field("mode", "Mode", FieldKind.CHOICE), Field("key", "Key", secret=True))
    found = problems(type("Told", (Stripe,), {"source_fields": fields}))
    assert any("its source field key is secret" in problem for problem in found)
    assert any("the field mode is a choice without choices" in problem for problem in found)
