# Each of `make run` and `make test` is enough on a machine with Python 3.11 or newer.

PYTHON ?= python3
PORT ?= 8000
SECONDS ?= 120
# Five at a time on two cores: many tests wait for a process, a clock or a pace. In the order of
# their folders, so that those that take long begin early and the last ones are short.
PYTEST_ARGS ?= -n 5 --dist loadfile --no-loadscope-reorder
# What several hands do at once, the services, and orders in the hands of real workers are tested on
# PostgreSQL as well. The rest runs there on demand: python -m tests.on_postgres FOLDER.
ON_POSTGRES := $(addprefix tests/,concurrency services $(addprefix journeys/,faults/together \
	$(addprefix faults/stepped/,test_claims.py test_reconciliation.py test_stops.py) \
	test_closing_by_hand.py test_kill_switch.py test_plans_at_once.py))
SHELL := /bin/sh
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test soak bench pictures check lock clean

help:
	@echo "make run [PORT=8000]   set up and run everything"
	@echo "make test              set up and run every test, on SQLite and on PostgreSQL"
	@echo "make soak [SEED=7]     random plans, faults and kills for SECONDS=120"
	@echo "make bench             set up, run every benchmark, print the figures"
	@echo "make pictures          set up, render every page into docs/pictures"
	@echo "make check             lint, formatting, types, layers, migrations"
	@echo "make lock              compile the locks anew from pyproject.toml"
	@echo "make clean             remove the virtual environment"

# exec: Ctrl-C has one process to end, and its exit code is make's.
run: .venv/stamp-run
	@exec $(BIN)/python manage.py up --port "$(PORT)"

test: .venv/stamp-dev
	@DUSTADMIN_STATE_DIR=.venv/test-state $(BIN)/python -m pytest $(PYTEST_ARGS)
	@DUSTADMIN_STATE_DIR=.venv/test-state $(BIN)/python -m tests.on_postgres $(PYTEST_ARGS) $(ON_POSTGRES)

soak: .venv/stamp-dev
	@$(BIN)/python -m tests.journeys.soak --seconds "$(SECONDS)" $(if $(SEED),--seed "$(SEED)")

BENCH_RESULTS ?= .venv/bench.jsonl

# What was measured is printed, whether all of it could be or not.
bench: .venv/stamp-dev
	@rm -f "$(BENCH_RESULTS)"
	@BENCH_RESULTS="$(BENCH_RESULTS)" DUSTADMIN_STATE_DIR=.venv/test-state \
		$(BIN)/python -m pytest tests/benchmarks -q --timeout 3600 -o faulthandler_timeout=3590 \
			$(BENCH_ARGS); done=$$?; \
		[ ! -f "$(BENCH_RESULTS)" ] || $(BIN)/python -m tests.benchmarks.figures "$(BENCH_RESULTS)" && exit $$done

pictures: .venv/stamp-dev
	@DUSTADMIN_STATE_DIR=.venv/test-state $(BIN)/python -m tests.browser.pictures docs/pictures

check: .venv/stamp-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py check
	$(BIN)/python manage.py makemigrations --check --dry-run

UV_COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --no-config --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: .venv/python
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet uv
	$(UV_COMPILE) --output-file requirements.txt
	$(UV_COMPILE) --group dev --constraint requirements.txt --output-file requirements-dev.txt

clean:
	rm -rf .venv

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Dust Admin needs Python 3.11 or newer; '$(PYTHON)' is not. Name one: make PYTHON=python3.12 …" >&2; \
		exit 1; }
	@$(PYTHON) -m venv .venv || { \
		echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu it needs the package python3-venv." >&2; \
		rm -rf .venv; exit 1; }
	@touch $@

# A stamp is as new as the lock that was installed; a failed install leaves none.
.venv/stamp-run: requirements.txt .venv/python
	@echo "Installing the locked packages …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/stamp-dev: requirements-dev.txt .venv/python
	@echo "Installing the locked packages …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ .venv/stamp-run
