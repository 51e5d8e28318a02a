"""Buttons of an object's page: each is a form that posts, with CSRF token and permission check, never a link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponseBase


def _always(request: HttpRequest, obj: Any) -> bool:
    return True


@dataclass(frozen=True)
class ButtonField:
    """A value that goes with a button: a number, or a choice among `choices`."""

    name: str
    label: str
    kind: str = "number"
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Button:
    """`do` is called with the request and the object, after the right to change it was checked.

    `possible` says whether the object's state allows it now: a button that can't work is not shown. It is done in one transaction,
    unless it `calls_out`: none may be open while another system is asked.
    """

    name: str
    label: str
    icon: str
    do: Callable[[HttpRequest, Any], HttpResponseBase]
    possible: Callable[[HttpRequest, Any], bool] = _always
    fields: Callable[[HttpRequest, Any], list[ButtonField]] | None = None
    confirm: str = ""
    tone: str = "quiet"
    calls_out: bool = False


_added: dict[str, list[Button]] = {}


def add_buttons(model: str, *buttons: Button) -> None:
    """Have the page of a model (such as integrations.repository) show buttons of another room; call it in an app's ready()."""
    known = _added.setdefault(model, [])
    known += [button for button in buttons if button.name not in {one.name for one in known}]


def added_buttons(model: str) -> list[Button]:
    """Return the buttons that other rooms added to the page of a model."""
    return _added.get(model, [])
