"""What a small schema, path or answer may cost: work is bounded before it is done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import InvalidInput
from core.http.masking import Mask
from integrations.connectors.http.paths import MAX_MATCHES, compiled, matches
from integrations.gateway.answer import _parsed
from integrations.gateway.schemas import MAX_ALTERNATIVES, check_schema, check_value


def _sentence(caught: Any) -> str:
    return " ".join(sentence for sentences in caught.value.fields.values() for sentence in sentences)


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
def test_a_schema_has_a_bounded_number_of_alternatives(keyword: str) -> None:
    branches = [{"type": "string"}] * (MAX_ALTERNATIVES // 2)
    assert check_schema({"items": {keyword: branches}, "not": {keyword: branches}}, "body_schema")
    with pytest.raises(InvalidInput) as caught:
        check_schema({"items": {keyword: branches}, "not": {"items": [{keyword: [*branches, {}]}]}}, "body_schema")
    assert "alternatives" in _sentence(caught)


def test_a_large_body_is_checked_but_not_explained() -> None:
    schema = {"items": {"anyOf": [{"type": "string"}] * 100}}
    check_value(schema, ["x"] * 10_000, "body")
    with pytest.raises(InvalidInput) as caught:
        check_value(schema, [1] * 10_000, "body")
    assert "try a part of it" in _sentence(caught)
    with pytest.raises(InvalidInput, match=r"body\.1"):
        check_value(schema, ["x", 1], "body")


@pytest.mark.parametrize("keyword", ["anyOf", "enum"])
def test_too_much_work_is_not_begun(keyword: str, monkeypatch: pytest.MonkeyPatch) -> None:
    branches: list[Any] = [{"const": number} for number in range(200)] if keyword == "anyOf" else list(range(200))
    with pytest.raises(InvalidInput) as caught:
        check_value({"items": {keyword: branches}}, {"deep": [[0] * 100] * 300}, "body")
    assert "Send less at once" in _sentence(caught)


@pytest.mark.parametrize(
    "path", ["$..*..*", "$..a..b", "$[?$.a == 1]", "$[*][*][*][*]", "$[0:,0:,0:,0:,0:]", "$[?@.a][?@.b][?@.c]", "$." + "a" * 300]
)
def test_a_path_that_multiplies_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"more than|at most"):
        compiled(path)


def test_a_path_finds_a_bounded_number_of_values() -> None:
    assert len(matches("$[*]", list(range(3 * MAX_MATCHES)))) == MAX_MATCHES
    assert matches("$..status", {"a": [{"status": "ok"}]}) == ["ok"]


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_number_that_json_can_not_hold_is_no_json(number: str) -> None:
    for mask in (Mask([]), Mask(["a secret of somebody"])):
        with pytest.raises(ValueError, match="too large"):
            _parsed(f'{{"x": {number}}}', mask)
        assert _parsed('{"x": 1.5}', mask) == json.loads('{"x": 1.5}')
