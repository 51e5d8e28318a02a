from __future__ import annotations

import math

import pytest
from django.db import transaction

from core import metrics
from core.models import MetricCount

pytestmark = pytest.mark.django_db

SUCCESS = metrics.labels(outcome="success")


def _totals() -> dict[tuple[str, str], float]:
    return {(name, labels): value for name, labels, value in metrics.totals()}


def test_it_adds_to_what_is_there():
    metrics.add({("sent", SUCCESS): 2})
    metrics.add({("sent", SUCCESS): 3, ("sent", metrics.labels(outcome="failed")): 1})
    assert _totals() == {("sent", 'outcome="success"'): 5, ("sent", 'outcome="failed"'): 1}


def test_it_sums_the_shards_of_all_processes(django_assert_num_queries):
    for shard in range(metrics.SHARDS):
        metrics.add({("sent", ""): shard}, shard=shard)
    assert MetricCount.objects.count() == metrics.SHARDS
    with django_assert_num_queries(1):
        assert metrics.totals() == [("sent", "", 120.0)]


def test_it_adds_a_batch_in_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        metrics.add({("sent", metrics.labels(n=n)): 1 for n in range(100)})
    with django_assert_num_queries(0):
        metrics.add({})


def test_what_rolls_back_was_never_counted():
    with transaction.atomic():
        metrics.add({("sent", ""): 1})
        transaction.set_rollback(True)
    assert metrics.totals() == []


def test_rows_are_locked_in_one_order(monkeypatch):
    seen: list[list[object]] = []

    class Cursor:
        def __enter__(self):
            return self

        def __exit__(self, *args):
            return None

        def execute(self, sql, parameters):
            seen.append(parameters)

    monkeypatch.setattr(metrics.connection, "cursor", Cursor)
    metrics.add({("b", ""): 1, ("a", "y"): 1, ("a", "x"): 1}, shard=7)
    assert seen == [["a", "x", 7, 1.0, "a", "y", 7, 1.0, "b", "", 7, 1.0]]


def test_labels_are_sorted_and_escaped():
    assert metrics.labels(b="two", a='say "hi"\\\n') == 'a="say \\"hi\\"\\\\\\n",b="two"'
    assert metrics.labels() == ""


def test_a_long_label_value_is_cut():
    assert metrics.labels(a="x" * 500) == f'a="{"x" * 64}"'


def test_too_many_labels_are_refused():
    with pytest.raises(ValueError, match="200 fit"):
        metrics.labels(**{f"label_{number}": "x" * 64 for number in range(4)})


def test_a_histogram_counts_each_value_in_the_first_bucket_that_holds_it():
    counts = metrics.histogram("seconds", {"kind": "a"}, [0.05, 0.1, 0.10001, 99.0], buckets=(0.1, 1.0))
    assert counts["seconds_bucket", 'kind="a",le="0.1"'] == 2
    assert counts["seconds_bucket", 'kind="a",le="1.0"'] == 1
    assert counts["seconds_bucket", 'kind="a",le="+Inf"'] == 1
    assert math.isclose(counts["seconds_sum", 'kind="a"'], 99.25001)
    assert len(counts) == 4


def test_a_histogram_of_nothing_adds_nothing():
    assert metrics.histogram("seconds", {}, []) == {}
