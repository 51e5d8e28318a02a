"""Whether the delivery log opens as fast with a million deliveries as with ten thousand, through the API and in the admin.

DATABASE_URL=postgres://… .venv/bin/python -m bench.log_page [--rows 1000000]

Each page is asked for through the whole application (routing, sign-in, serializing or templates), without a web server.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from bench import setup

setup.start_django()

SMALL = 10_000
PAGES = {
    "API, newest": "/api/v1/deliveries",
    "API, failed": "/api/v1/deliveries?status=failed",
    "API, one webhook": "/api/v1/deliveries?webhook={hook}",
    "API, one webhook, failed": "/api/v1/deliveries?webhook={hook}&status=failed",
    "API, of a team": "/api/v1/deliveries",
    "admin, newest": "/admin/webhooks/webhookdelivery/",
    "admin, failed": "/admin/webhooks/webhookdelivery/?status=failed",
    "admin, one webhook": "/admin/webhooks/webhookdelivery/?webhook={hook}",
}
_EVENTS = """
INSERT INTO core_event (id, type, payload, size, actor, request_id, created_at)
SELECT gen_random_uuid(), 'custom.bench', '{}', 2, '', '', now() FROM generate_series(1, 1000)
"""
# one row a second up to now, ids as core.ids makes them: the time in milliseconds first. A hundredth of them failed
_ROWS = """
INSERT INTO webhooks_webhookdelivery (id, webhook_id, event_id, event_type, owner_id, status, lane, trigger, attempts, step,
    last_status_code, last_error_class, last_error, created_at, finished_at)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3) || 'a'
        || substr(md5(random()::text), 1, 15))::uuid,
    (%(hooks)s::uuid[])[1 + n %% 20], (%(events)s::uuid[])[1 + n %% 1000], 'custom.bench',
    CASE WHEN n %% 20 = 0 THEN %(owner)s::uuid END, CASE WHEN n %% 100 = 7 THEN 'failed' ELSE 'success' END, 1, 'auto', 1, 1,
    CASE WHEN n %% 100 = 7 THEN 500 ELSE 200 END, CASE WHEN n %% 100 = 7 THEN 'server_error' ELSE '' END, '', at, at
FROM generate_series(%(first)s::int, %(last)s::int) AS n, LATERAL (SELECT now() - (2000000 - n) * interval '1 second' AS at) AS made
"""


def fill(hooks: list[Any], owner_id: Any, first: int, last: int) -> None:
    from django.db import connection

    from core.models import Event

    with connection.cursor() as cursor:
        if first == 1:
            cursor.execute(_EVENTS)
        events = list(Event.objects.values_list("id", flat=True)[:1000])
        cursor.execute(_ROWS, {"hooks": hooks, "events": events, "owner": owner_id, "first": first, "last": last})
        cursor.execute("VACUUM ANALYZE webhooks_webhookdelivery")


def clients() -> tuple[Any, dict[str, Any], Any]:
    """Return a signed-in admin's client, the clients' headers by kind of key, and the id of the team that owns a twentieth."""
    from django.contrib.auth.models import Group, User
    from django.test import Client

    from access.services import KeyValues, create_key, ensure_roles
    from core.models import Owner

    ensure_roles()
    admin = Client(SERVER_NAME="localhost")
    admin.force_login(User.objects.create_superuser("bench", password="not used"), backend="django.contrib.auth.backends.ModelBackend")
    owner = Owner.objects.create(team=Group.objects.create(name="bench"))
    _row, all_key = create_key(KeyValues(name="all", unlimited=True))
    _row, team_key = create_key(KeyValues(name="team", unlimited=True, owner_id=owner.id))
    headers = {name: {"Authorization": f"Bearer {key}"} for name, key in (("all", all_key), ("team", team_key))}
    return admin, headers, owner.id


def measure(admin: Any, headers: dict[str, Any], hook: Any, times: int) -> dict[str, float]:
    """Return the median milliseconds of each page."""
    from django.test import Client

    api = Client(SERVER_NAME="localhost")
    figures = {}
    for name, path in PAGES.items():
        url = path.format(hook=hook)
        took = []
        for _number in range(times):
            started = time.perf_counter()
            answer = admin.get(url) if name.startswith("admin") else api.get(url, headers=headers["team" if "team" in name else "all"])
            took.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200, (name, answer.status_code)
        figures[name] = statistics.median(took[2:])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=15)
    options = parser.parse_args()
    with setup.database():
        hooks = [setup.make_webhook(f"bench {number}", "http://127.0.0.1:9/", events=("custom.never",)).id for number in range(20)]
        admin, headers, owner_id = clients()
        fill(hooks, owner_id, 1, SMALL)
        small = measure(admin, headers, hooks[3], options.times)
        fill(hooks, owner_id, SMALL + 1, options.rows)
        large = measure(admin, headers, hooks[3], options.times)
        for name in PAGES:
            ratio = large[name] / small[name]
            print(f"{name:26} {SMALL:,}: {small[name]:6.1f} ms  {options.rows:,}: {large[name]:6.1f} ms  ratio {ratio:.2f} (bar 1.5)")


if __name__ == "__main__":
    main()
