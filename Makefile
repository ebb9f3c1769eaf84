# `make` alone lists the targets. All of them work on a machine with python3 (3.11 or newer, with
# venv), make and the package index; nothing is installed outside .venv.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed
PIP := $(PY) -m pip --quiet --disable-pip-version-check --no-input install
SOURCES := manage.py techno audit executor diagnostics

.DEFAULT_GOAL := help
.SUFFIXES:
.PHONY: help run test test-fast test-failed lint format check bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUNTIME) ## start everything and serve on TECHNO_HOST:TECHNO_PORT (127.0.0.1:8000)
	@exec $(PY) manage.py serve

test: $(DEVELOPMENT) ## the whole test suite, on the embedded PostgreSQL or on DATABASE_URL
	@$(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test-fast: $(DEVELOPMENT) ## the tests that need neither a running service nor a browser
	@$(PY) -m pytest -q -m "not slow and not browser" -n 2 --dist loadfile --no-loadscope-reorder

test-failed: $(DEVELOPMENT) ## what failed in the last run, once more and alone
	@$(PY) -m pytest -q --last-failed --last-failed-no-failures none

lint: $(DEVELOPMENT) ## style, types, migrations that are missing, system checks
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m mypy --no-error-summary $(SOURCES)
	@$(PY) manage.py makemigrations --check --dry-run -v 0
	@$(PY) manage.py check -v 0

format: $(DEVELOPMENT) ## lay out the code and sort the imports
	@$(PY) -m ruff check --quiet --fix .
	@$(PY) -m ruff format --quiet .

check: lint test ## everything that CI runs

bench: $(DEVELOPMENT) ## measure throughput and latency beside their floors
	@$(PY) -m benchmarks

clean: ## remove caches and the virtual environment; var/ (your data) stays
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

# A virtual environment whose making was interrupted has no working pip, and is made again.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.11" >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
	  { echo "$(PYTHON) has no venv; on Debian: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(RUNTIME): requirements.txt $(VENV)/.created
	@echo "Installing the packages of requirements.txt into $(VENV) …"
	@$(PIP) -r requirements.txt
	@touch $@

$(DEVELOPMENT): requirements-dev.txt $(RUNTIME)
	@echo "Installing the packages of requirements-dev.txt into $(VENV) …"
	@$(PIP) -r requirements-dev.txt
	@touch $@
