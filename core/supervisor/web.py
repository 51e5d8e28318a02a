"""gunicorn's settings (`gunicorn -c python:core.supervisor.web`), taken from RepoGuard's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings

from core.supervisor import leash

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "repoguard.settings")

wsgi_app = settings.WSGI_APPLICATION.replace(".application", ":application")
bind = f"{settings.BIND}:{settings.PORT}"
worker_class = "core.supervisor.worker.PatientWorker"
workers = settings.WEB_PROCESSES
threads = settings.WEB_THREADS
timeout = 60
graceful_timeout = 10
keepalive = 30
control_socket_disable = True
forwarded_allow_ips = ""  # gunicorn would believe any local peer; access.middleware believes TRUSTED_PROXIES
proc_name = "repoguard-web"
# the workers' heartbeat files: a busy disk must not make a healthy worker look hung
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes unlinked files there
# at DEBUG gunicorn writes the path of each request, which may hold a token
_level = "INFO" if settings.LOG_LEVEL == "DEBUG" else settings.LOG_LEVEL
logconfig_dict: dict[str, Any] = settings.LOGGING | {
    "loggers": settings.LOGGING["loggers"] | {"gunicorn.error": {"level": _level, "handlers": [], "propagate": True}}
}


def pre_fork(server: Any, worker: Any) -> None:
    """Remember who forks: the worker ties itself to the master."""
    worker.master_pid = os.getpid()


def post_fork(server: Any, worker: Any) -> None:
    """End with the master, also when it is killed, so that the port is free for the next."""
    leash.tie(worker.master_pid)
