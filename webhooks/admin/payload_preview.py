"""What the editor of payload templates shows while one writes: what would be sent, or what is wrong, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from access.admin_base import show
from core.errors import InvalidInput
from core.event_types import catalogue
from templates_app.choices import ContentType
from templates_app.payloads.selectors import Preview
from templates_app.payloads.variables import variables

_EXAMPLE_URL = "https://your-receiver.example/hook"
_PLACE = re.compile(r"(?:body: )?(?:For [^:]*: )?Line (\d+), column (\d+): ")


@dataclass(frozen=True)
class Told:
    """A sentence, with the line and column of the body that it is about, 0 for none."""

    sentence: str
    line: int = 0
    column: int = 0


def preview_context(preview: Preview, platform: str) -> dict[str, Any]:
    """Return what the preview shows."""
    rendered, problems = preview.rendered, list(preview.problems)
    context: dict[str, Any] = {"preview": preview, "warnings": told(preview.warnings), "refused": preview.refused}
    found = catalogue.find(preview.event.type)
    context["variables"] = [(one.name, one.description, show.cut_line(str(one.example), 60)) for one in variables(found)] if found else []
    if rendered is not None:
        text = rendered.body.decode()
        shown = show.pretty_text(text) if rendered.content_type == ContentType.JSON else text
        context |= {"body": show.cut(shown), "headers": rendered.headers, "size": len(rendered.body)}
        if not platform:
            try:
                context["url"] = rendered.address(_EXAMPLE_URL)
            except InvalidInput as error:
                problems.append(error.message)
    return context | {"problems": told(problems)}


def told(sentences: Iterable[str]) -> list[Told]:
    """Return sentences with the places in the body that they name."""
    found = [(sentence, _PLACE.match(sentence)) for sentence in sentences]
    return [Told(sentence, int(place[1]), int(place[2])) if place else Told(sentence) for sentence, place in found]
