# One image for web and workers; `command` in compose.yaml says which of them a container is.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.txt .
RUN /opt/venv/bin/pip install --no-input --require-hashes -r requirements.txt

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 repoguard \
    && useradd --system --uid 10001 --gid repoguard --home-dir /data --shell /usr/sbin/nologin repoguard \
    && install -d -o repoguard -g repoguard -m 0700 /data
COPY --from=build /opt/venv /opt/venv
COPY . /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    REPOGUARD_MODE=production \
    REPOGUARD_DATA_DIR=/data \
    BIND=0.0.0.0 \
    PORT=8000
RUN python -m compileall -q -j 0 /app
USER repoguard
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# asks /livez, and in a container of workers how old their last sign of life is
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=3 CMD ["python", "-m", "core.supervisor.alive"]
# exec form: the supervisor is process 1, gets the stop signal itself, and buries orphans
CMD ["python", "manage.py", "supervise", "--prepare"]
