"""Checks a payload template before it is stored: its form, its variables, and what it makes of every event that it is meant for.

Each type's example is rendered as it is, with hostile texts in all places and with nothing in it: what is JSON for all of these is
JSON for what will come, or nearly; what is not is found at the delivery, and not sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from time import thread_time
from typing import Any

from core.errors import InvalidInput
from core.event_types import MAX_NAME, EventType, catalogue, check_pattern, patterns_for
from core.http.custom_headers import check_headers
from core.texts import storable
from integrations.contract.outbound import HttpDestination
from integrations.registry import find
from templates_app.choices import ContentType
from templates_app.payloads.content import Content, Parts, Rendered, raise_errors, read, render_event
from templates_app.payloads.variables import DATA, FREE, SHAPE, example_event
from templates_app.rendering.meter import MAX_SECONDS, MAX_STEPS, Meter, TemplateRefused
from templates_app.rendering.scanner import Used

MAX_HEADERS, MAX_QUERY, MAX_EVENTS = 20, 20, 100
MAX_PART_SOURCE = 2000
MAX_CHECK_STEPS = 5 * MAX_STEPS
MAX_CHECK_SECONDS = 10 * MAX_SECONDS
"""For all samples of all types together; the steps are what usually ends it."""
_MAX_WARNINGS = 50
HOSTILE = 'a "quoted" \\ back\\slash, </b>\n\tnew {{ line }} {% if %} \u2028\x00 \U0001f600 \ud800 &amp; =;'
_SECRET_WORDS = ("authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "x-key")


def check(parts: Parts, events: Sequence[str], platform: str) -> tuple[Content, list[str]]:
    """Return the content and warnings about variables that are in no known data. Raises one InvalidInput for all that is wrong."""
    _check_form(parts, platform)
    content = read(parts)
    types = meant_for(events)
    unknown = {name: [sentence for used in parsed.used if (sentence := _unknown(used))] for name, parsed in content.parts.items()}
    raise_errors({name: sentences for name, sentences in unknown.items() if sentences})
    _try_out(content, types, platform)
    return content, _warnings(content, types)


def check_events(events: object) -> list[str]:
    """Return valid patterns of event types, such as `finding.*`. Raises InvalidInput."""
    if not isinstance(events, list) or not events or len(events) > MAX_EVENTS:
        raise InvalidInput.of("events", f'must be a list of 1 to {MAX_EVENTS} event types, such as ["finding.*"] or ["*"].')
    for pattern in events:
        if not isinstance(pattern, str) or len(pattern) > MAX_NAME:
            raise InvalidInput.of("events", f"must hold texts of at most {MAX_NAME} characters.")
        check_pattern(pattern)
    return list(dict.fromkeys(events))


def check_platform(platform: str) -> None:
    """Raise InvalidInput unless a connector takes bodies that templates made."""
    if platform and not takes_templates(platform):
        raise InvalidInput.of("platform", f"{platform[:40]!r} is no connector that takes templates; leave it empty for webhooks to a URL.")


def takes_templates(platform: str) -> bool:
    """Say whether a connector takes bodies that templates made."""
    try:
        connector = find(platform)
    except InvalidInput:
        return False
    return issubclass(connector, HttpDestination) and connector.takes_templates


def meant_for(events: Sequence[str]) -> list[EventType]:
    """Return the types that patterns match."""
    return [one for one in catalogue.all() if set(events) & {one.name, *patterns_for(one.example_name)}]


def platform_problems(platform: str, rendered: Rendered) -> list[str]:
    """Return what the platform would refuse."""
    if not takes_templates(platform):
        return []
    connector = find(platform)
    return connector.body_problems(rendered.body) if issubclass(connector, HttpDestination) else []


# --- form -------------------------------------------------------------------------------------------------------------


def _check_form(parts: Parts, platform: str) -> None:
    errors: dict[str, list[str]] = {}
    if parts.content_type not in ContentType.values:
        errors["content_type"] = [f"must be one of {', '.join(ContentType.values)}."]
    texts = {"body": parts.body, "url_path": parts.url_path}
    for name, mapping, most in (("headers", parts.headers, MAX_HEADERS), ("url_query", parts.url_query, MAX_QUERY)):
        if not all(isinstance(text, str) for pair in mapping.items() for text in pair):
            errors[name] = ["must be an object of names and texts."]
        elif len(mapping) > most:
            errors[name] = [f"has {len(mapping)} entries; at most {most} are allowed."]
        else:
            texts |= {f"{name}.{key}": text for key, text in mapping.items()}
            if any(not key or len(key) > 100 or storable(key) != key for key in mapping):
                errors[name] = ["must have names of 1 to 100 characters."]
    for name, text in texts.items():
        if storable(text) != text:
            errors[name] = ["must not hold NUL characters or lone surrogates."]
        elif name != "body" and (len(text) > MAX_PART_SOURCE or "\n" in text or "\r" in text):
            errors[name] = [f"must be one line of at most {MAX_PART_SOURCE:,} characters."]
    if platform and (parts.headers or parts.url_path or parts.url_query):
        errors["headers"] = ["must be empty, as url_path and url_query: through an integration its own headers and address are used."]
    if not errors:
        errors |= _header_errors(parts.headers)
    raise_errors(errors)


def _header_errors(headers: Mapping[str, str]) -> dict[str, list[str]]:
    for name in headers:
        if any(word in name.lower() for word in _SECRET_WORDS):
            sentence = f"{name} can't stand in a template, which is stored as it is: credentials belong into the webhook's own headers."
            return {"headers": [sentence]}
    try:
        check_headers(dict.fromkeys(headers, "x"))
    except InvalidInput as error:
        return error.fields
    return {}


# --- variables --------------------------------------------------------------------------------------------------------


def _all_used(content: Content) -> Iterator[tuple[str, Used]]:
    """Yield all variables, each with how a sentence about another part than the body begins."""
    for name, parsed in content.parts.items():
        yield from (("" if name == "body" else f"{name}: ", used) for used in parsed.used)


def _unknown(used: Used) -> str:
    """Return what is wrong with a variable that can't be in any event, "" for nothing."""
    if used.path[0] == DATA:
        return ""
    shape: Any = SHAPE
    for index, segment in enumerate(used.path):
        if shape == "" and index and segment == "size":
            return ""
        known = _step(shape, segment)
        if known is None:
            before = ".".join(map(str, used.path[:index]))
            names = ", ".join(sorted(shape)) if isinstance(shape, Mapping) and index else "event, data and message"
            where = f"{before} has" if index else "there are"
            return f"Line {used.line}, column {used.column}: {used.name} is unknown; {where} {names}."
        shape = known
        if ".".join(str(part) for part in used.path[: index + 1] if part not in ("first", "last") and isinstance(part, str)) in FREE:
            return ""
    return ""


def _step(shape: Any, segment: str | int) -> Any:
    if isinstance(shape, Mapping):
        return "" if segment == "size" and segment not in shape else shape.get(segment)
    if isinstance(shape, list) and shape:
        return "" if segment == "size" else shape[0] if isinstance(segment, int) or segment in ("first", "last") else None
    return "" if segment == "size" else None


def _warnings(content: Content, types: Sequence[EventType]) -> list[str]:
    named = [one for one in types if not one.name.endswith(".*")]
    if not named:
        return []
    found = []
    for part, used in _all_used(content):
        if used.path[0] == DATA and not any(_may_hold(one.schema, one.example, used.path[1:]) for one in named):
            found.append(f"{part}Line {used.line}, column {used.column}: {used.name} is in none of these events as they are documented.")
    return list(dict.fromkeys(found))[:_MAX_WARNINGS]


def _may_hold(schema: Any, example: Any, path: Sequence[str | int]) -> bool:
    """Say whether a type's data may have something at a path, by its schema and by its example."""
    if not path:
        return True
    segment, rest = path[0], path[1:]
    if segment in ("size", "first", "last") or isinstance(segment, int):
        entry = example[0] if isinstance(example, list) and example else None
        return segment == "size" or _may_hold(schema.get("items") if isinstance(schema, Mapping) else None, entry, rest)
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    below = properties.get(segment) if isinstance(properties, Mapping) else None
    shown = example.get(segment) if isinstance(example, Mapping) else None
    if below is None and shown is None:
        return isinstance(schema, Mapping) and isinstance(schema.get("additionalProperties"), Mapping)
    return _may_hold(below, shown, rest)


# --- trying out -------------------------------------------------------------------------------------------------------


def _try_out(content: Content, types: Sequence[EventType], platform: str) -> None:
    steps, until = 0, thread_time() + MAX_CHECK_SECONDS
    for event_type in types:
        for how, data in _samples(event_type):
            meter = Meter()
            try:
                rendered = render_event(content, example_event(event_type, data), meter=meter)
            except TemplateRefused as error:
                raise _refused(error, f"{event_type.name} ({how})") from None
            if how == "its example" and (problems := platform_problems(platform, rendered)):
                sentence = f"For {event_type.name} ({how}), {find(platform).title} would refuse it: {problems[0]}"
                raise InvalidInput.of("body", sentence, code="template")
            steps += meter.steps
            if steps > MAX_CHECK_STEPS or thread_time() > until:
                raise InvalidInput.of(
                    "body", "is so expensive that it can't be tried with all event types: name fewer in events, or make it simpler."
                )


def _refused(error: TemplateRefused, sample: str) -> TemplateRefused:
    """Return what was refused with the sample that it was refused of."""
    part, (sentence,) = next(iter(error.fields.items()))
    output = replace(error.output, of=sample) if error.output is not None else None
    return TemplateRefused(f"For {sample}: {sentence}", part=part, output=output)


def _samples(event_type: EventType) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "its example", event_type.example
    yield "with quotes and line breaks in its texts", _hostile(event_type.example)
    yield "with nothing in its data", {}


def _hostile(value: Any) -> Any:
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, Mapping):
        return {name: _hostile(item) for name, item in value.items()}
    return [_hostile(item) for item in (*value, *value)] if isinstance(value, list) else value
