"""The sections of docs/connectors.md, from the declarations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from integrations.contract.connector import Connector
from integrations.contract.describe import CAPABILITIES, capabilities, destination_fields, source_fields
from integrations.contract.fields import Field, FieldKind


def reference(connectors: Iterable[type[Connector]]) -> str:
    """Return the sections of docs/connectors.md."""
    return "\n".join(line for connector in sorted(connectors, key=lambda connector: connector.key) for line in _section(connector))


def _section(connector: type[Connector]) -> Iterator[str]:
    yield f"## {connector.title}\n"
    yield f"`{connector.key}` · {', '.join(category.label for category in connector.categories)}\n"
    yield f"{connector.description}{f' [Its API]({connector.docs}).' if connector.docs else ''}\n"
    yield from (f"* `{name}`: {CAPABILITIES[name][1]}" for name in capabilities(connector))
    yield from _table(connector, "config", [field for field in connector.fields if not field.secret])
    yield from _table(connector, "credentials", [field for field in connector.fields if field.secret])
    yield from _table(connector, "destination", destination_fields(connector))
    yield from _table(connector, "inbound source", source_fields(connector))
    yield ""


def _table(connector: type[Connector], place: str, fields: Sequence[Field]) -> Iterator[str]:
    if not fields:
        return
    yield f"\n### {connector.title}: `{place}`\n"
    yield "| field | kind | what it is |\n| --- | --- | --- |"
    for field in fields:
        yield f"| `{field.name}`{' *' if field.required and field.default is None else ''} | {_kind(field)} | {_words(field)} |"


def _kind(field: Field) -> str:
    if field.choices:
        return ", ".join(f"`{value}`" for value, _ in field.choices)
    return str(FieldKind(field.kind).label)


def _words(field: Field) -> str:
    parts = [f"{field.title}.", field.help]
    if field.only_if:
        parts.append(f"Only if `{field.only_if[0]}` is {' or '.join(f'`{value}`' for value in field.only_if[1])}.")
    if field.default is not None:
        shown = ", ".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
        parts.append(f"Default: `{shown}`.")
    if field.link:
        parts.append(f"[Where to find it]({field.link}).")
    return " ".join(part for part in parts if part).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
