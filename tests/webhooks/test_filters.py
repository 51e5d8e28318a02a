from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from webhooks.filters import MAX_BYTES, MAX_CONDITIONS, check_filter, matches

DATA: dict[str, Any] = {
    "severity": "high",
    "cvss": 7.4,
    "count": 3,
    "fixed": False,
    "nothing": None,
    "labels": ["security", "java"],
    "scores": [1, 5, 9],
    "package": {"name": "lodash", "fixed_version": "4.17.20", "a.b": 1},
    "commits": [{"id": "a1", "author": {"name": "alice"}, "n": 1}, {"id": "b2", "author": {"name": "bob"}, "n": 2}],
}
BODY = {"id": "0192", "type": "finding.opened", "timestamp": "2026-11-20T09:30:00Z", "data": DATA}


def passes(condition: Any, body: Any = BODY) -> bool:
    return matches(check_filter(condition), body)


@pytest.mark.parametrize(
    "condition",
    [
        None,
        {},
        {"severity": "high"},
        {"severity": {"$eq": "high"}},
        {"cvss": 7.4, "count": 3},
        {"count": 3.0},
        {"fixed": False},
        {"nothing": None},
        {"package.name": "lodash"},
        {"package": {"name": "lodash", "fixed_version": {"$startsWith": "4."}}},
        {"package.a\\.b": 1},
        {"package": {"$eq": {"name": "lodash", "fixed_version": "4.17.20", "a.b": 1.0}}},
        {"data.severity": "high"},
        {"data": {"severity": "high"}},
        {"$.data.severity": "high"},
        {"$.type": {"$startsWith": "finding."}},
        {"severity": {"$neq": "low"}},
        {"missing": {"$neq": "low"}},
        {"cvss": {"$gt": 7, "$lt": 8}},
        {"cvss": {"$gte": 7.4, "$lte": 7.4}},
        {"severity": {"$gt": "aaa"}},
        {"severity": {"$in": ["critical", "high"]}},
        {"severity": {"$nin": ["low", "info"]}},
        {"missing": {"$nin": ["low"]}},
        {"severity": {"$endsWith": "gh"}},
        {"severity": {"$contains": "ig"}},
        {"labels": {"$contains": "java"}},
        {"labels": "java"},
        {"labels": {"$in": ["python", "java"]}},
        {"labels": {"$startsWith": "sec"}},
        {"labels": ["security", "java"]},
        {"scores": {"$gt": 8}},
        {"scores.1": 5},
        {"commits.author.name": "bob"},
        {"commits.1.author.name": "bob"},
        {"commits.0.id": {"$startsWith": "a"}},
        {"commits": {"id": "b2", "n": 2}},
        {"severity": {"$exist": True}},
        {"nothing": {"$exist": True}},
        {"missing": {"$exist": False}},
        {"commits.reviewer": {"$exist": False}},
        {"$and": [{"severity": "high"}, {"count": 3}]},
        {"$or": [{"severity": "low"}, {"count": 3}]},
        {"$not": {"severity": "low"}},
        {"severity": {"$not": {"$in": ["low"]}}},
        {"severity": {"$not": "low"}},
        {"missing": {"$not": {"$gt": 1}}},
        {"$or": [{"$and": [{"severity": "low"}]}, {"$not": {"count": {"$lt": 3}}}], "cvss": {"$gt": 5}},
        {"commits": {"$or": [{"id": "zz"}, {"id": "b2"}]}},
    ],
)
def test_it_lets_pass(condition: Any) -> None:
    assert passes(condition)


@pytest.mark.parametrize(
    "condition",
    [
        {"severity": "low"},
        {"severity": "high", "count": 4},
        {"severity": "HIGH"},
        {"missing": "high"},
        {"missing": None},
        {"severity.deeper": "high"},
        {"count": True},
        {"fixed": 0},
        {"count": "3"},
        {"nothing": False},
        {"package": {"name": "lodash", "fixed_version": "5"}},
        {"package": {"$eq": {"name": "lodash"}}},
        {"cvss": {"$gt": 7.4}},
        {"cvss": {"$gt": "7"}},
        {"severity": {"$gt": 1}},
        {"fixed": {"$lt": 1}},
        {"nothing": {"$lte": 0}},
        {"missing": {"$gt": 0}},
        {"severity": {"$in": ["low"]}},
        {"severity": {"$nin": ["high"]}},
        {"labels": {"$nin": ["java"]}},
        {"labels": {"$neq": "java"}},
        {"labels": {"$contains": "jav"}},
        {"count": {"$contains": "3"}},
        {"count": {"$startsWith": "3"}},
        {"labels": ["java", "security"]},
        {"scores.7": 9},
        {"scores.01x": 9},
        {"commits": {"id": "a1", "n": 2}},
        {"severity": {"$exist": False}},
        {"missing": {"$exist": True}},
        {"$and": [{"severity": "high"}, {"count": 4}]},
        {"$or": [{"severity": "low"}, {"count": 4}]},
        {"$not": {"severity": "high"}},
        {"$not": {"severity": "high", "count": 3}},
        {"severity": {"$not": {"$in": ["high"]}}},
        {"type": "finding.opened"},
        {"$.type": "scan.completed"},
        {"$.severity": "high"},
    ],
)
def test_it_holds_back(condition: Any) -> None:
    assert not passes(condition)


def test_a_member_named_data_goes_before_the_body() -> None:
    body = BODY | {"data": {"data": {"severity": "low"}, "severity": "high"}}
    assert passes({"data.severity": "low"}, body)
    assert passes({"$.data.severity": "high"}, body)


def test_it_looks_at_every_element_of_lists_in_lists() -> None:
    body = BODY | {"data": {"runs": [{"results": [{"level": "note"}]}, {"results": [{"level": "error"}]}]}}
    assert passes({"runs.results.level": "error"}, body)
    assert not passes({"runs.results.level": "warning"}, body)


@pytest.mark.parametrize(
    ("condition", "place", "sentence"),
    [
        ("text", "", "must be an object"),
        ([], "", "must be an object"),
        (5, "", "must be an object"),
        ({"severity": {"$matches": "h.*"}}, "severity.$matches", "is not known; the operators are"),
        ({"severity": {"$gt": 1, "name": 2}}, "severity.name", "is not known"),
        ({"$regex": "x"}, "$regex", "is not an operator that can stand here"),
        ({"$gt": 5}, "$gt", "is not an operator that can stand here"),
        ({"severity": {"$in": "high"}}, "severity.$in", "must be a list"),
        ({"severity": {"$nin": []}}, "severity.$nin", "must be a list"),
        ({"severity": {"$exist": 1}}, "severity.$exist", "must be true or false"),
        ({"severity": {"$startsWith": 1}}, "severity.$startsWith", "must be a text"),
        ({"severity": {"$gt": None}}, "severity.$gt", "must be a number or a text"),
        ({"severity": {"$lte": True}}, "severity.$lte", "must be a number or a text"),
        ({"severity": {"$gte": [1]}}, "severity.$gte", "must be a number or a text"),
        ({"severity": {}}, "severity", "is empty"),
        ({"severity": {"$not": {}}}, "severity.$not", "is empty"),
        ({"$and": []}, "$and", "must be a list"),
        ({"$or": {"a": 1}}, "$or", "must be a list"),
        ({"$or": [{"a": 1}, 5]}, "$or", "must be a list"),
        ({"$or": [{}]}, "$or[0]", "is empty"),
        ({"$not": [1]}, "$not", "must be an object"),
        ({"$and": [{"a": {"$in": 5}}]}, "$and[0].a.$in", "must be a list"),
        ({"a..b": 1}, "a..b", "is not a path"),
        ({"": 1}, "", "is not a path"),
        ({"$.": 1}, "$.", "is not a path"),
        ({".".join("abcdefghijklmnopqrstuvw"): 1}, "a.b", "is not a path"),
        ({"a" * 301: 1}, "aaa", "is not a path"),
        ({"a": "\x00"}, "", "NUL"),
        ({"a": "\ud800"}, "", "JSON can't express"),
        ({"a": float("nan")}, "", "JSON can't express"),
        ({"a": "x" * MAX_BYTES}, "", "bytes of JSON"),
        ({"a": [[[[[[[[[[[1]]]]]]]]]]]}, "a", "nested more than"),
        ({f"a{n}": n for n in range(MAX_CONDITIONS + 1)}, "", "more than 100 conditions"),
    ],
)
def test_it_refuses_a_wrong_filter_and_says_where(condition: Any, place: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_filter(condition)
    assert caught.value.fields["filter"][0].startswith(place)
    assert sentence in caught.value.message


def _nested(depth: int, wrap: Any) -> Any:
    condition: Any = {"a": 1}
    for _ in range(depth):
        condition = wrap(condition)
    return condition


@pytest.mark.parametrize(
    "wrap",
    [lambda inner: {"$and": [inner]}, lambda inner: {"$not": inner}, lambda inner: {"a": inner}, lambda inner: {"a": {"$not": inner}}],
)
def test_it_refuses_a_filter_that_is_nested_too_deeply(wrap: Any) -> None:
    check_filter(_nested(4, wrap))
    with pytest.raises(InvalidInput, match="nested more than 10 deep"):
        check_filter(_nested(12, wrap))
    with pytest.raises(InvalidInput):
        check_filter(_nested(2000, wrap))


def test_a_filter_without_conditions_is_none() -> None:
    assert check_filter({}) is None
