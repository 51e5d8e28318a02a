# `make run` starts the portal, `make test` runs everything that CI runs. Both need Python 3.11 and make, nothing else
# (make test: also redis-server, prometheus-pushgateway and curl).

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup run dev test check oracles lock clean

help: ## Show the commands.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: ## Install into .venv; create keys, database and the admin user where they are missing.
	@$(PYTHON) repoguard/bootstrap.py
	@$(BIN)/python manage.py prepare

run: ## Start the portal (web and workers) on PORT, 8000 by default.
	@$(PYTHON) repoguard/bootstrap.py
	@exec $(BIN)/python manage.py supervise --prepare --hello

dev: ## Install what development and tests need.
	@$(PYTHON) repoguard/bootstrap.py --dev

test: dev ## Run everything that CI runs: checks, then the tests on SQLite and on PostgreSQL.
	@$(BIN)/python -m tests.everything

check: dev ## Run the checks of `make test` without the tests.
	@$(BIN)/python -m tests.everything --checks

oracles: ## Hold what destinations send against libraries of the platforms (needs Node 20, npm and its registry; ORACLE=name for one).
	@sh tests/oracles/run.sh $(ORACLE)

lock: dev ## Pin the requirements anew, with hashes.
	$(BIN)/uv pip compile --python-version 3.11 --generate-hashes --no-strip-extras requirements.in -o requirements.txt
	$(BIN)/uv pip compile --python-version 3.11 --generate-hashes --no-strip-extras requirements-dev.in -o requirements-dev.txt

clean: ## Delete caches and reports (never data).
	rm -rf .coverage .coverage.* htmlcov .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
