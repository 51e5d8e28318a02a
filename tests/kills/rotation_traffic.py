"""What runs beside a key rotation, each in a process of its own: fills the tables, reads, writes, and looks at the end.

python -m tests.kills.rotation_traffic <role> <folder> <number> [<values>]
"""

from __future__ import annotations

import json
import random
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.utils import timezone  # noqa: E402

from core.encrypted_columns import EncryptedColumn, columns  # noqa: E402
from core.fields import EncryptedJSONField, key_id  # noqa: E402
from core.ids import uuid7  # noqa: E402
from core.models import CachedAnswer, IdempotencyKey  # noqa: E402
from integrations.models import Integration, OAuthGrant  # noqa: E402
from webhooks.models import Webhook  # noqa: E402

WRITERS = 2
EXTRA = "extra"
PER_UNIT = 10  # encrypted values of one unit of fill()
_PAUSE = 0.002


def shown(column: EncryptedColumn, pk: Any, number: int) -> Any:
    """Return the value that row `pk` has after its `number`-th change."""
    text = f"{pk}:{number}:{'x' * 40}"
    return {"value": text} if isinstance(column.field, EncryptedJSONField) else text


def number_in(column: EncryptedColumn, pk: Any, value: Any) -> int:
    text = value["value"] if isinstance(column.field, EncryptedJSONField) else value
    name, number, _ = text.split(":")
    assert name == str(pk), (name, pk)
    return int(number)


def used() -> list[EncryptedColumn]:
    return [column for column in columns() if column.model in {Integration, OAuthGrant, Webhook, IdempotencyKey, CachedAnswer}]


def of(model: Any, pk: Any) -> dict[str, Any]:
    return {column.field.name: shown(column, pk, 0) for column in used() if column.model is model}


def fill(values: int) -> None:
    """Store `values` values in nine fields of five models, all encrypted by the old key."""
    for start in range(0, values // PER_UNIT, 500):
        ids = [uuid7() for _ in range(start, min(start + 500, values // PER_UNIT))]
        Integration.objects.bulk_create(
            Integration(id=pk, name="n", type="http", category="monitoring", **of(Integration, pk)) for pk in ids
        )
        OAuthGrant.objects.bulk_create(OAuthGrant(integration_id=pk, **of(OAuthGrant, pk)) for pk in ids)
        Webhook.objects.bulk_create(Webhook(id=pk, name="n", url="https://example.com", events=[], **of(Webhook, pk)) for pk in ids)
        doubled = [pk for pk in ids for _ in range(2)]
        answers = [uuid7() for _ in doubled]
        IdempotencyKey.objects.bulk_create(
            IdempotencyKey(id=pk, fingerprint=pk.hex, body_hash="h", **of(IdempotencyKey, pk)) for pk in answers
        )
        names = [uuid7().hex for _ in doubled]
        now = timezone.now()
        CachedAnswer.objects.bulk_create(
            CachedAnswer(key=name, integration_id=ids[0], status_code=200, stored_at=now, expires_at=now, **of(CachedAnswer, name))
            for name in names
        )


def lasting(column: EncryptedColumn) -> list[Any]:
    """Return the rows that are there from beginning to end: a writer that starts late sees others' extra ones."""
    rows = column.model._default_manager.order_by("pk")
    return list((rows.exclude(body_hash=EXTRA) if column.model is IdempotencyKey else rows).values_list("pk", flat=True))


def until_stopped(folder: Path) -> Iterator[None]:
    while not (folder / "stop").exists():
        yield


def read(folder: Path, number: int) -> dict[str, Any]:
    """Read random values as the portal does, until told to stop; each must be whole and no older than seen before."""
    choose = random.Random(number)
    keys = {column.label: lasting(column) for column in used()}
    seen: dict[tuple[str, Any], int] = {}
    times, failures = [], []
    for _ in until_stopped(folder):
        column = choose.choice(used())
        pk = choose.choice(keys[column.label])
        began = time.perf_counter()
        try:
            value = column.model._default_manager.values_list(column.field.name, flat=True).get(pk=pk)
            found = number_in(column, pk, value)
            assert found >= seen.get((column.label, pk), 0), "an older value came back"
            seen[column.label, pk] = found
        except Exception:
            failures.append(traceback.format_exc(limit=3))
        times.append(time.perf_counter() - began)
        time.sleep(_PAUSE)
    return {"count": len(times), "failures": failures, **percentiles(times)}


def write(folder: Path, number: int, stop: str = "stop") -> dict[str, Any]:
    """Change random rows of this writer's share, and add and delete some; report what each row must hold in the end."""
    choose = random.Random(100 + number)
    keys = {column.label: [pk for place, pk in enumerate(lasting(column)) if place % WRITERS == number % WRITERS] for column in used()}
    last: dict[str, dict[str, int]] = {column.label: {} for column in used()}
    times, failures = [], []
    while not (folder / stop).exists():
        column = choose.choice(used())
        pk = choose.choice(keys[column.label])
        began = time.perf_counter()
        try:
            row = column.model._default_manager.get(pk=pk)
            following = number_in(column, pk, getattr(row, column.field.name)) + 1
            setattr(row, column.field.name, shown(column, pk, following))
            row.save(update_fields=[column.field.name])
            last[column.label][str(pk)] = following
            if following % 5 == 0:
                extra = IdempotencyKey.objects.create(fingerprint=uuid7().hex, body_hash=EXTRA, answer=f"{uuid7()}:0:extra")
                if choose.random() < 0.9:
                    extra.delete()
        except Exception:
            failures.append(traceback.format_exc(limit=3))
        times.append(time.perf_counter() - began)
        time.sleep(_PAUSE)
    return {"count": len(times), "failures": failures, "last": last, **percentiles(times)}


def look(last: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Read every value with the new key alone; return what is under another key, and what is not what was written last."""
    current, wrong, others, total = key_id(settings.FERNET_KEYS[0]), [], 0, 0
    for column in used():
        counts = column.counts()
        total += sum(counts.values())
        others += sum(count for name, count in counts.items() if name != current)
        for pk, value in column.model._default_manager.values_list("pk", column.field.name):
            if isinstance(value, str) and value.endswith(":extra"):
                continue
            if number_in(column, pk, value) != last[column.label].get(str(pk), 0):
                wrong.append(f"{column.label} {pk}")
    return {"total": total, "others": others, "wrong": wrong}


def percentiles(times: list[float]) -> dict[str, float]:
    ordered = sorted(times) or [0.0]
    return {name: round(1000 * ordered[int((len(ordered) - 1) * share)], 1) for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))}


def main() -> None:
    role, folder, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    result: Any = None
    if role == "fill":
        fill(number)
    elif role == "read":
        result = read(folder, number)
    elif role == "write":
        result = write(folder, number)
    elif role == "write-old":
        result = write(folder, number, "restart")
    elif role == "look":
        result = look(json.loads((folder / "last.json").read_text()))
    (folder / f"{role}-{number}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
